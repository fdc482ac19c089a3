"""Explain what is wrong with a config: each mistake with its key and what is expected there."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from incumbent.config import MODEL_NAME_IN_WORDS, Config

_SHOULD_BE = "input should be "
_WORDS = {  # pydantic's for a type, and what it adds, as a user would say it
    "a valid string": "text",
    "a valid integer": "an integer",
    "a valid number": "a number",
    "a valid boolean": "true or false",
    "a valid tuple": "a list",
}


def mistakes(values: dict[str, Any]) -> list[str]:
    """What is wrong with a nested mapping as a `Config`, one line a key."""
    try:
        Config.model_validate(values)
    except ValidationError as error:
        by_key: dict[tuple[str, ...], list[Any]] = {}
        for problem in error.errors():
            by_key.setdefault(_key(problem["loc"]), []).append(problem)
        # A list may be one branch of a union: what is wrong inside it says more than the others.
        inner = {key[:-1] for key in by_key if key[-1:] and key[-1].isdigit()}
        return [_explain(key, found) for key, found in by_key.items() if key not in inner]
    return []


def _key(location: Sequence[str | int]) -> tuple[str, ...]:
    """A location without what pydantic adds to a key: the branches of its union."""
    known = [str(part) for part in location]
    return tuple(
        part for depth, part in enumerate(known) if part.isdigit() or _known_keys(known[:depth])
    )


def _explain(key: Sequence[str], problems: Sequence[Any]) -> str:
    """What pydantic found wrong with one key, as a line a user can act on."""
    problem, name = problems[0], ".".join(key) or "config"
    if problem["type"] == "extra_forbidden":
        known = _known_keys(key[:-1])
        near = difflib.get_close_matches(key[-1], known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"known keys are {', '.join(known)}"
        return f"{name}: unknown key; {hint}"
    found = problem["input"]
    shown = "" if isinstance(found, dict) else f" (found {found!r})"
    if problem["type"] == "model_type":
        return f"{name}: this is a section, with the keys {', '.join(_known_keys(key))}{shown}"
    # Each branch of a union has its say.
    first, *others = dict.fromkeys(map(_in_words, problems))
    message = " or ".join([first, *(other.removeprefix(_SHOULD_BE) for other in others)])
    return f"{name}: {message}{shown}"


def _in_words(problem: Any) -> str:
    if problem["type"] == "string_pattern_mismatch":  # there is one such key
        return MODEL_NAME_IN_WORDS
    message: str = problem["msg"].removeprefix("Value error, ")
    for theirs, ours in _WORDS.items():
        message = re.sub(f"{theirs}.*", ours, message)
    return message[0].lower() + message[1:]


def _known_keys(location: Sequence[str]) -> list[str]:
    model: type[BaseModel] = Config
    for part in location:
        field = model.model_fields.get(part)
        if field is None:
            return []
        candidates = [field.annotation, *get_args(field.annotation)]
        models = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
        if not models:
            return []
        model = models[0]
    return list(model.model_fields)
