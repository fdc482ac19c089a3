"""What the server answers to, as an OpenAPI document and as a page that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from incumbent import __version__

_OPEN = {"/ping", "/health", "/v2/health/live", "/v2/health/ready"}
_TEXTS = {
    "inputs": {"oneOf": [{"type": "array", "items": {"type": "string", "nullable": True}},
                         {"type": "object"}]},
    "instances": {"type": "array"},
    "dataframe_split": {"type": "object"},
    "dataframe_records": {"type": "array", "items": {"type": "object"}},
    "params": {"type": "object", "properties": {"version": {"type": "boolean"}}},
}  # fmt: skip
_TENSOR = {
    "type": "object",
    "required": ["name", "shape", "datatype", "data"],
    "properties": {
        "name": {"type": "string"}, "datatype": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer"}}, "data": {"type": "array"},
    },
}  # fmt: skip
_INVOCATIONS = {
    "application/json": {
        "schema": {"type": "object", "properties": _TEXTS},
        "example": {"inputs": ["A masterpiece."], "params": {"version": True}},
    },
    "text/csv": {"schema": {"type": "string"}},
}
_INFER = {
    "application/json": {
        "schema": {
            "type": "object",
            "required": ["inputs"],
            "properties": {"inputs": {"type": "array", "items": _TENSOR}},
        },
        "example": {
            "inputs": [
                {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["A masterpiece."]}
            ]
        },
    }
}
_REFUSALS = {
    "400": "The request is wrong; the message says in what.",
    "404": "There is no such model or version here.",
    "408": "The request came too slowly.",
    "413": "More bytes, texts or characters than a request may hold.",
    "415": "The content type is not read.",
    "429": "Too many texts wait; Retry-After says when to come back.",
    "503": "The model is being loaded.",
    "504": "The answer was not there in time.",
}
_PATHS: dict[str, tuple[str, str, Any]] = {
    "/invocations": ("post", "Classify texts, by MLflow's scoring protocol.", _INVOCATIONS),
    "/models/{name}/invocations": ("post", "The same, of several models.", _INVOCATIONS),
    "/ping": ("get", "Whether the server answers.", None),
    "/health": ("get", "The same.", None),
    "/version": ("get", "The version of MLflow.", None),
    "/v2": ("get", "About the server.", None),
    "/v2/health/live": ("get", "Whether the server runs.", None),
    "/v2/health/ready": ("get", "Whether all models are loaded.", None),
    "/v2/models/{name}": ("get", "About a model and the version in service.", None),
    "/v2/models/{name}/ready": ("get", "Whether a model is loaded.", None),
    "/v2/models/{name}/infer": ("post", "Classify texts, by the Open Inference Protocol.", _INFER),
    "/metrics": ("get", "Metrics for Prometheus.", None),
}


def document(models: Sequence[str], *, guarded: bool) -> dict[str, Any]:
    """The OpenAPI document."""
    named = {
        "name": "name", "in": "path", "required": True,
        "schema": {"type": "string", "enum": list(models)},
    }  # fmt: skip
    paths: dict[str, Any] = {}
    for path, (method, about, content) in _PATHS.items():
        answers = {"200": {"description": "The answer."}}
        if content:
            answers |= {code: {"description": said} for code, said in _REFUSALS.items()}
        operation: dict[str, Any] = {"summary": about, "responses": answers}
        if "{name}" in path:
            operation["parameters"] = [named]
        if content:
            operation["requestBody"] = {"required": True, "content": content}
        if guarded and path not in _OPEN:
            operation["security"] = [{"token": []}, {"login": []}]
            answers["401"] = {"description": "A token or a login is asked for."}
        paths[path] = {method: operation}
    found: dict[str, Any] = {
        "openapi": "3.0.3",
        "info": {"title": "incumbent serve", "version": __version__},
        "paths": paths,
    }
    if guarded:
        schemes = {
            "token": {"type": "http", "scheme": "bearer"},
            "login": {"type": "http", "scheme": "basic"},
        }
        found["components"] = {"securitySchemes": schemes}
    return found


def page(models: Sequence[str]) -> str:
    """The same for people to read."""
    rows = "".join(
        f"<tr><td>{method.upper()}</td><td><code>{escape(path)}</code></td>"
        f"<td>{escape(about)}</td></tr>"
        for path, (method, about, _) in _PATHS.items()
    )
    served = ", ".join(map(escape, models))
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>incumbent serve</title>"
        "<style>body{font:16px sans-serif;margin:2em}td{padding:.2em 1em .2em 0}</style>"
        f"<h1>incumbent serve</h1><p>Models: {served}.</p><table>{rows}</table>"
        "<p><a href=/openapi.json>OpenAPI document</a></p></html>"
    )
