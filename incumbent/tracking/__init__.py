"""MLflow: where the store is, its runs with their files, its registered models.

May import `predictor`, which it registers, `config`, `runtime` and `errors`; with `scoring`, the
only wing that imports mlflow. Begin with `mlflow_store`, then `mlflow_runs` or `model_registry`.
"""
