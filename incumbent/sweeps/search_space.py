"""The space of a sweep: which config keys vary, and over which values."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from incumbent import config_loading
from incumbent.config import Config
from incumbent.config_mistakes import mistakes
from incumbent.errors import ConfigError

if TYPE_CHECKING:
    from optuna import Trial

_SECTIONS = ("training", "preprocessing")
_FIXED = {
    "training.seed": "it decides which rows are held out, on which trials are compared",
    "training.validation_fraction": "a sweep holds out the same rows for all trials",
    "training.checkpoint_minutes": "it changes no model",
    "training.devices": "it changes no model",
}
_EXAMPLE = "training.learning_rate: {low: 1.0e-5, high: 5.0e-4, log: true}"

Scalar = bool | int | float | str | None


class Range(BaseModel):
    """Numbers from `low` to `high`, both included; integers where the key takes no others.

    `log` draws them evenly by their logarithm, `step` takes each so many.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    low: float
    high: float
    log: bool = False
    step: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Range:
        if self.low > self.high:
            raise ValueError(f"low ({self.low:g}) is above high ({self.high:g})")
        if self.log and self.low <= 0:
            raise ValueError(f"log is true and low is {self.low:g}; log wants it above 0")
        if self.log and self.step is not None:
            raise ValueError("log and step exclude each other; leave one out")
        return self

    @property
    def ends(self) -> tuple[float, ...]:
        """Values whose being right makes all others right."""
        return self.low, self.high


class Choices(BaseModel):
    """Any of some values."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    choices: Annotated[tuple[Scalar, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _consistent(self) -> Choices:
        if len({repr(value) for value in self.choices}) < len(self.choices):
            raise ValueError("choices names a value twice")
        return self

    @property
    def ends(self) -> tuple[Scalar, ...]:
        """All of them."""
        return self.choices


class SearchSpace(BaseModel):
    """What varies, by dotted config key."""

    model_config = ConfigDict(frozen=True)

    parts: dict[str, Range | Choices]

    @classmethod
    def read(cls, path: Path) -> SearchSpace:
        """Read a YAML file.

        Raises:
            ConfigError: if it cannot be read, or a key or its values are wrong; all are named.
        """
        values = config_loading.read_yaml(path, "space file", "mapping of config keys", _EXAMPLE)
        return cls.of(values, f"The space in {path}")

    @classmethod
    def of(cls, values: Mapping[str, Any], name: str = "The space") -> SearchSpace:
        """Check a space as it was written, and take it.

        Raises:
            ConfigError: if a key or its values are wrong; all are named.
        """
        if not values:
            raise ConfigError(f"{name} is empty; a line for each key is expected, like {_EXAMPLE}")
        parts: dict[str, Range | Choices] = {}
        problems: list[str] = []
        for key, given in sorted(values.items(), key=lambda item: str(item[0])):
            problems += _problems(str(key), given, parts)
        if problems:
            raise ConfigError("\n  ".join([f"{name} is wrong:", *problems]))
        return cls(parts=parts)

    def written(self) -> dict[str, Any]:
        """The space as `of` takes it."""
        return {
            key: part.model_dump(mode="json", exclude_defaults=True)
            for key, part in self.parts.items()
        }

    def suggested(self, trial: Trial) -> dict[str, Any]:
        """A value for each key, as Optuna chooses them for a trial."""
        return {key: _suggested(trial, key, part) for key, part in self.parts.items()}


def applied(config: Config, values: Mapping[str, Any]) -> Config:
    """The config with other values at some keys.

    Raises:
        ConfigError: if they do not go together.
    """
    whole = config.model_dump()
    for key, value in values.items():
        section, _, name = key.partition(".")
        whole[section][name] = value
    if problems := mistakes(whole):
        raise ConfigError("; ".join(problems))
    return Config.model_validate(whole)


def in_words(values: Mapping[str, Any]) -> str:
    """Values by key, in one line."""
    return ", ".join(
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in values.items()
    )


def _problems(key: str, given: Any, parts: dict[str, Range | Choices]) -> Iterator[str]:
    """What is wrong with one key, in lines; a right one goes to `parts`."""
    section, _, name = key.partition(".")
    if problem := _of_key(key):
        yield problem
        return
    kind = Choices if isinstance(given, dict) and "choices" in given else Range
    if not isinstance(given, dict):
        yield f"{key}: {{low: ..., high: ...}} or {{choices: [...]}} is expected (found {given!r})"
        return
    try:
        part = kind.model_validate(given)
    except ValidationError as error:
        found = error.errors()
        # Of a word that is misspelt, what is missing follows.
        unknown = [problem for problem in found if problem["type"] == "extra_forbidden"]
        yield from dict.fromkeys(f"{key}: {_in_words(problem)}" for problem in unknown or found)
        return
    if isinstance(part, Range) and (problem := _of_range(key, part)):
        yield problem
        return
    integers = isinstance(part, Range) and float not in numbers_of(key)
    ends = [int(end) for end in part.ends if end is not None] if integers else part.ends
    lines = {
        line: None
        for end in ends
        for line in mistakes({section: {name: end}})
        if line.startswith(f"{key}:")
    }
    yield from lines
    if not lines:
        parts[key] = part


def _of_key(key: str) -> str:
    """What is wrong with a key, be it unknown or none that may vary; empty if nothing is."""
    section, dot, name = key.partition(".")
    unknown = mistakes({section: {name: None} if dot else {}})
    lines = [line for line in unknown if "unknown key" in line]
    if lines:
        return lines[0]
    if key in _FIXED:
        return f"{key}: it must not vary in a sweep: {_FIXED[key]}"
    if section not in _SECTIONS:
        return (
            f"{key}: it must not vary in a sweep: only keys of {' and '.join(_SECTIONS)} may, "
            "like training.learning_rate"
        )
    if not dot:
        return f"{key}: this is a section; name a key of it, like training.learning_rate"
    return ""


def _of_range(key: str, part: Range) -> str:
    """What is wrong with a range as that of a key; empty if nothing is."""
    numbers = numbers_of(key)
    if not numbers:
        return f"{key}: it takes no numbers; name its values as {{choices: [...]}}"
    given = [part.low, part.high, *([part.step] if part.step is not None else [])]
    if float not in numbers and (broken := [n for n in given if not n.is_integer()]):
        return f"{key}: integers are expected (found {broken[0]:g})"
    return ""


def _in_words(problem: Any) -> str:
    where = ".".join(str(part) for part in problem["loc"] if not isinstance(part, int))
    said = problem["msg"].removeprefix("Value error, ")
    if where.startswith("choices"):
        return "choices: a list of values is expected, each a number, a text, true, false or null"
    if problem["type"] == "missing":
        return f"{where} is missing; {{low: ..., high: ...}} or {{choices: [...]}} is expected"
    if problem["type"] == "extra_forbidden":
        return f"{where} is unknown here; low, high, log and step are known, or choices"
    said = said[0].lower() + said[1:]
    return f"{where}: {said} (found {problem['input']!r})" if where else said


def numbers_of(key: str) -> set[type]:
    """Which of int and float the values of a config key may be."""
    section, _, name = key.partition(".")
    model = Config.model_fields[section].annotation
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return set()
    return _kinds(model.model_fields[name].annotation) & {int, float}


def _kinds(annotation: Any) -> set[Any]:
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        return reduce(set.union, map(_kinds, get_args(annotation)), set[Any]())
    return _kinds(get_args(annotation)[0]) if origin is Annotated else {annotation}


def _suggested(trial: Trial, key: str, part: Range | Choices) -> Any:
    if isinstance(part, Choices):
        return trial.suggest_categorical(key, part.choices)
    if float in numbers_of(key):
        return trial.suggest_float(key, part.low, part.high, step=part.step, log=part.log)
    low, high, step = int(part.low), int(part.high), int(part.step or 1)
    # The last that a step meets, as Optuna warns of others.
    return trial.suggest_int(key, low, high - (high - low) % step, step=step, log=part.log)
