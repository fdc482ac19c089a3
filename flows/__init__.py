"""One file a Prefect flow."""
