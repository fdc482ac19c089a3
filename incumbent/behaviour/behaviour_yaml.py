"""Read behaviour tests from YAML; behaviour.yaml, the packaged file, explains the format."""

from __future__ import annotations

import difflib
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from incumbent.behaviour import perturbations
from incumbent.errors import ConfigError

PACKAGED = Path(__file__).with_name("behaviour.yaml")

Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1, le=100)]
"""Of cases: each costs a prediction of every model that is tested."""


class _Part(BaseModel):
    # A label may be 0 and a word 1984; only true and false must be put in quotes.
    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)


class _Test(_Part):
    name: Text

    @property
    def labels(self) -> frozenset[str]:
        """The labels that it expects, whatever the texts."""
        return frozenset()


class Invariance(_Test):
    """Changes after which a text must have the label that it had."""

    changes: Annotated[tuple[perturbations.Change, ...], Field(min_length=1)]
    sentences: tuple[Text, ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> Invariance:
        adding = [change for change in self.changes if change in perturbations.ADDING]
        if adding and not self.sentences:
            raise ValueError(f"{adding[0]!r} adds sentences; expected at least one in `sentences`")
        return self


class Direction(_Test):
    """Additions after which a text that had `label` must still have it."""

    label: Text
    add: Annotated[tuple[Text, ...], Field(min_length=1)]

    @property
    def labels(self) -> frozenset[str]:
        """The one that it expects."""
        return frozenset({self.label})


class Template(_Part):
    """A text with slots like `{word}`, and the label it must get."""

    template: Text
    label: Text


class Functionality(_Test):
    """Texts of which a reader is in no doubt."""

    cases: Count = 25
    templates: Annotated[tuple[Template, ...], Field(min_length=1)]

    @property
    def labels(self) -> frozenset[str]:
        """Those of its templates."""
        return frozenset(part.label for part in self.templates)


class Suite(_Part):
    """All behaviour tests; no two have one name."""

    sample: Count = 75
    words: dict[str, Annotated[tuple[Text, ...], Field(min_length=1)]] = {}
    invariance: tuple[Invariance, ...] = ()
    direction: tuple[Direction, ...] = ()
    templates: tuple[Functionality, ...] = ()

    @property
    def tests(self) -> tuple[Invariance | Direction | Functionality, ...]:
        """All of them, in order."""
        return *self.invariance, *self.direction, *self.templates

    @model_validator(mode="after")
    def _consistent(self) -> Suite:
        names = [test.name for test in self.tests]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ValueError(f"two tests are named {twice[0]!r}; expected a name for each")
        for name, text in self._texts():
            unknown = [slot for slot in perturbations.slots(text) if slot not in self.words]
            if unknown:
                known = ", ".join(self.words) or "none"
                raise ValueError(
                    f"test {name!r}: {text!r} has the slot {{{unknown[0]}}}; expected one of the "
                    f"lists in `words`, which are {known}"
                )
        return self

    def _texts(self) -> list[tuple[str, str]]:
        """Every text that may have slots, with its test's name."""
        return [
            *((test.name, text) for test in self.invariance for text in test.sentences),
            *((test.name, text) for test in self.direction for text in test.add),
            *((test.name, part.template) for test in self.templates for part in test.templates),
        ]


_KINDS: dict[str, type[_Part]] = {
    "invariance": Invariance,
    "direction": Direction,
    "templates": Functionality,
}


def load(path: str | Path = "") -> Suite:
    """Read a suite; the packaged one if `path` is empty.

    Raises:
        ConfigError: if the file is missing or no YAML mapping, or a test is wrong; every problem
            is named with its test.
    """
    file = Path(path) if path else PACKAGED
    values = _read(file)
    if "extends" in values:
        if values["extends"] != "default":
            raise ConfigError(
                f"{file}: extends is {values['extends']!r}; expected `default`, for the packaged "
                "tests, or no such key."
            )
        values = _merged(_read(PACKAGED), values)
    try:
        return Suite.model_validate(values)
    except ValidationError as error:
        lines = "\n".join(f"  {_explain(problem, values)}" for problem in error.errors())
        raise ConfigError(f"The behaviour tests in {file} are wrong:\n{lines}") from None


def _read(file: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        siblings = [p.name for p in file.parent.glob("*.y*ml")] if file.parent.is_dir() else []
        near = difflib.get_close_matches(file.name, siblings, n=1)
        hint = f" Did you mean {file.parent / near[0]}?" if near else ""
        raise ConfigError(
            f"There is no file {file}, which evaluation.behaviour names.{hint} Paths are relative "
            "to the working directory; leave it empty for the packaged tests."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The behaviour tests in {file} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{file} is not valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(
            f"{file} holds a {type(values).__name__}; a mapping is expected, with "
            f"{', '.join(_KINDS)} or `extends: default`."
        )
    return values


def _merged(packaged: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Both files' values; what isn't of the right type is left for validation to name."""
    merged = packaged | {key: value for key, value in own.items() if key != "extends"}
    if isinstance(own.get("words", {}), dict):
        merged["words"] = packaged["words"] | own.get("words", {})
    added = {kind: own.get(kind, []) for kind in _KINDS}
    tests = chain.from_iterable(part for part in added.values() if isinstance(part, list))
    names = [test.get("name") for test in tests if isinstance(test, dict)]
    for kind, part in added.items():
        if isinstance(part, list):
            merged[kind] = [t for t in packaged[kind] if t["name"] not in names] + part
    return merged


def _explain(problem: Any, values: dict[str, Any]) -> str:
    """One pydantic problem as a line that names the test and the key."""
    location = list(problem["loc"])
    model: type[BaseModel] = Suite
    place = ""
    if len(location) > 1 and location[0] in _KINDS:
        kind, index, *rest = location
        test = values[kind][index]
        name = test.get("name") if isinstance(test, dict) else None
        place = f"test {name!r}: " if name else f"{kind}, test {index + 1}: "
        model, location = (Template if len(rest) == 3 else _KINDS[kind]), rest
    key = ".".join(str(part) for part in location)
    if problem["type"] == "extra_forbidden":
        return f"{place}{key}: unknown key; expected one of {', '.join(model.model_fields)}"
    message = problem["msg"].removeprefix("Value error, ")
    found = problem["input"]
    shown = "" if isinstance(found, dict | BaseModel) else f" (found {str(found)[:80]!r})"
    if isinstance(found, bool):
        shown += "; YAML reads yes, no, on and off as true and false: put it in quotes"
    return f"{place}{key}{': ' if key else ''}{message[0].lower()}{message[1:]}{shown}"
