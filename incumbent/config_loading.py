"""Read a config file and `--set`, check both, and explain each mistake with its key."""

from __future__ import annotations

import difflib
import re
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from incumbent.config import MODEL_NAME_IN_WORDS, Config
from incumbent.errors import ConfigError
from incumbent.runtime import url_secrets

_SHOULD_BE = "input should be "
_WORDS = {  # pydantic's for a type, and what it adds, as a user would say it
    "a valid string": "text",
    "a valid integer": "an integer",
    "a valid number": "a number",
    "a valid boolean": "true or false",
    "a valid tuple": "a list",
}


def load(path: str | Path | None = None, overrides: Sequence[str] = ()) -> Config:
    """Read a config file and apply `a.b=VALUE` overrides, whose values are YAML.

    Raises:
        ConfigError: if the file is missing or no YAML mapping, or a key or value is wrong;
            every problem is named with its key, and with the file or `--set` it comes from.
    """
    values = _read_yaml(Path(path)) if path else {}
    of_the_file = _problems(values)
    for override in overrides:
        _set(values, override)
    problems = _problems(values)
    if not problems:
        return Config.model_validate(values)
    kept = [problem for problem in problems if problem in of_the_file]
    new = [problem for problem in problems if problem not in of_the_file]
    raise ConfigError(
        "\n".join(
            "\n  ".join([f"{source} is wrong:", *lines])
            for source, lines in ((f"The config in {path}", kept), ("What --set gives", new))
            if lines
        )
    )


def without_secrets(config: Config, settings: MutableMapping[str, str]) -> Config:
    """The config as it may be recorded: what is secret in its addresses goes to the environment."""
    data = config.data

    def of_train(source: str) -> str:
        return url_secrets.hidden(source, "INCUMBENT_DATA_TRAIN", settings)

    places = {
        "train": of_train(data.train)
        if isinstance(data.train, str)
        else tuple(map(of_train, data.train)),
        "test": url_secrets.hidden(data.test, "INCUMBENT_DATA_TEST", settings),
    }
    return config.model_copy(update={"data": data.model_copy(update=places)})


def _problems(values: dict[str, Any]) -> list[str]:
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


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        near = difflib.get_close_matches(path.name, _siblings(path), n=1, cutoff=0.8)
        hint = f" Did you mean {path.parent / near[0]}?" if near else ""
        raise ConfigError(f"There is no config file {path}.{hint}") from None
    except IsADirectoryError:
        raise ConfigError(f"{path} is a folder; a config file is expected.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The config file {path} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(
            f"{path} holds a {type(values).__name__}; a mapping of sections is expected, "
            "like `model_name: reviews`."
        )
    return values


def _siblings(path: Path) -> list[str]:
    return [p.name for p in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []


def _set(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise ConfigError(
            f"--set {override!r} is not KEY=VALUE; write it like --set training.epochs=2"
        )
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {key}: the value {text!r} is not valid YAML: {error}") from None
    *parents, last = key.strip().split(".")
    for parent in parents:
        child = values.setdefault(parent, {})
        if not isinstance(child, dict):
            raise ConfigError(f"--set {key}: {parent} is a value, not a section.")
        values = child
    values[last] = value


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
