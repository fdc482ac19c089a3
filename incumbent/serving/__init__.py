"""Serve champions over HTTP: MLflow's scoring protocol and the Open Inference Protocol v2.

Runs where a consumer's packages are, beside Starlette and uvicorn: it loads no TensorFlow, Prefect
or Great Expectations. May import `tracking` and what is below it. Begin with `http_server`, which
runs all; `followed_model` is what answers, and what puts a new champion in its place.
"""
