"""Read a config file and `--set` into a `Config`, and hide the secrets in its addresses."""

from __future__ import annotations

import difflib
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from incumbent.config import Config
from incumbent.config_mistakes import mistakes
from incumbent.errors import ConfigError
from incumbent.runtime import url_secrets


def load(path: str | Path | None = None, overrides: Sequence[str] = ()) -> Config:
    """Read a config file and apply `a.b=VALUE` overrides, whose values are YAML.

    Raises:
        ConfigError: if the file is missing or no YAML mapping, or a key or value is wrong;
            every problem is named with its key, and with the file or `--set` it comes from.
    """
    values = read_yaml(Path(path)) if path else {}
    of_the_file = mistakes(values)
    for override in overrides:
        _set(values, override)
    problems = mistakes(values)
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


def read_yaml(
    path: Path, kind: str = "config file", mapping: str = "mapping of sections",
    example: str = "model_name: reviews",
) -> dict[str, Any]:  # fmt: skip
    """Read a YAML file that holds a mapping; an empty one is the empty mapping.

    Args:
        path: The file.
        kind: What it is called in errors.
        mapping: What it should hold.
        example: A line that such a file may hold.

    Raises:
        ConfigError: if it is missing or no YAML mapping.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        near = difflib.get_close_matches(path.name, _siblings(path), n=1, cutoff=0.8)
        hint = f" Did you mean {path.parent / near[0]}?" if near else ""
        raise ConfigError(f"There is no {kind} {path}.{hint}") from None
    except IsADirectoryError:
        raise ConfigError(f"{path} is a folder; a {kind} is expected.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The {kind} {path} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(
            f"{path} holds a {type(values).__name__}; a {mapping} is expected, like `{example}`."
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
