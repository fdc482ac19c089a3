"""MLflow: where the store is, its runs with their files, its registered models.

May import `predictor`, which it registers, `config`, `runtime` and `errors`; with `scoring`, the
only wing that imports mlflow. Begin with `mlflow_connection`, then `mlflow_runs` for runs, and
`registry_reads` and `registry_writes` for registered models.
"""
