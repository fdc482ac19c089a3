"""The servers of one machine, Prefect, MLflow and a worker: started, kept running and stopped.

May import `config`, `runtime` and `errors`; with `operations`, the only wing that asks Prefect.
Begin with `up_and_down`, then `ports_and_commands`.
"""
