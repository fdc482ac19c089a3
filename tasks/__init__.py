"""One file a stage: thin Prefect tasks over `incumbent`."""
