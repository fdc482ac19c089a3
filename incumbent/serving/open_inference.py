"""The Open Inference Protocol, version 2 (KServe's): its JSON documents.

https://github.com/kserve/open-inference-protocol
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from incumbent import __version__
from incumbent.predictor import given_texts
from incumbent.serving.mlflow_protocol import parsed
from incumbent.serving.refusals import Refusal
from incumbent.serving.verified_model import Answer, VerifiedModel

_TEXT, _NUMBER = "BYTES", "FP64"


def server() -> dict[str, Any]:
    """What `/v2` answers."""
    return {"name": "incumbent", "version": __version__, "extensions": []}


def metadata(model: VerifiedModel) -> dict[str, Any]:
    """What `/v2/models/NAME` answers."""
    return {
        "name": model.name,
        "versions": [str(model.number)],
        "platform": "mlflow_pyfunc",
        "inputs": [{"name": name, "datatype": _TEXT, "shape": [-1]} for name in model.text_columns],
        "outputs": [
            {"name": name, "datatype": _kind(name), "shape": [-1]} for name in model.columns
        ],
    }


def texts(body: bytes, columns: Sequence[str]) -> tuple[list[str | None], dict[str, Any]]:
    """The texts of a request, and the request.

    Raises:
        Refusal: if it is no request of the protocol, or has no texts.
    """
    request = parsed(body)
    if not isinstance(request.get("id", ""), str):
        raise Refusal("id is no string")
    inputs = request.get("inputs")
    if not isinstance(inputs, list) or not all(isinstance(one, dict) for one in inputs):
        raise Refusal("inputs is no list of tensors")
    tensors: dict[str, list[Any]] = {}
    for tensor in inputs:
        name = tensor.get("name")
        if not isinstance(name, str) or name in tensors:
            raise Refusal(f"an input has the name {name!r}; each must have one of its own")
        tensors[name] = _values(name, tensor)
    try:
        found, _ = given_texts(tensors, columns)
    except (ValueError, TypeError, RecursionError) as error:
        raise Refusal(str(error)) from None
    return found, request


def answer(
    model: VerifiedModel, answers: Sequence[Answer | None], request: dict[str, Any]
) -> dict[str, Any]:
    """The document that `/infer` answers with.

    Raises:
        Refusal: if an output is asked for that the model does not have.
    """
    names = wanted(model, request)
    return {
        "model_name": model.name,
        "model_version": str(model.number),
        **({"id": request["id"]} if "id" in request else {}),
        "outputs": [
            {
                "name": name, "datatype": _kind(name), "shape": [len(answers)],
                "data": [None if found is None else found[name] for found in answers],
            }
            for name in names
        ],
    }  # fmt: skip


def wanted(model: VerifiedModel, request: dict[str, Any]) -> list[str]:
    """The outputs that a request asks for; all, if it names none.

    Raises:
        Refusal: if one of them is none that the model has.
    """
    asked = request.get("outputs")
    if not asked:
        return model.columns
    if not isinstance(asked, list) or not all(isinstance(one, dict) for one in asked):
        raise Refusal("outputs is no list of objects with a name")
    names = [one.get("name") for one in asked]
    for name in names:
        if name not in model.columns:
            raise Refusal(f"no output {name!r}; there are {', '.join(model.columns)}")
    return list(dict.fromkeys(map(str, names)))


def _values(name: str, tensor: dict[str, Any]) -> list[Any]:
    data, shape = tensor.get("data"), tensor.get("shape")
    parameters = tensor.get("parameters")
    if isinstance(parameters, dict) and "binary_data_size" in parameters:
        raise Refusal("binary tensors are not read; send the texts as JSON in data")
    if not isinstance(data, list):
        raise Refusal(f"the input {name!r} has no list data")
    data = [value[0] if isinstance(value, list) and len(value) == 1 else value for value in data]
    sizes = shape if isinstance(shape, list) else [-1]
    # Two dimensions at most: the product of many numbers that anyone may send takes minutes.
    whole = len(sizes) <= 2 and all(
        type(size) is int and 0 <= size <= max(1, len(data)) for size in sizes
    )
    if not whole or math.prod(sizes) != len(data):
        raise Refusal(f"the input {name!r} has the shape {shape} and {len(data)} values")
    return data


def _kind(output: str) -> str:
    return _NUMBER if output.startswith("probability_") else _TEXT
