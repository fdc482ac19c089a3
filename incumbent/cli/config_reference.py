"""Write docs/configuration.md from the configuration's own models: `make docs`."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from incumbent.config import Config

_PAGE = Path("docs") / "configuration.md"
_BOUNDS = {Ge: "≥", Gt: ">", Le: "≤", Lt: "<"}


def render() -> str:
    """The page: one table a section, each key with its type, default and meaning."""
    parts = [
        "# Configuration",
        "",
        "Every key, as `incumbent retrain --config FILE` and `--set a.b=VALUE` take it. This page "
        "is made from `incumbent/config.py` by `make docs`. Paths are relative to the working "
        "directory; unknown keys are errors.",
        "",
        *_table("The run", [("model_name", Config.model_fields["model_name"])]),
    ]
    for name, field in Config.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            parts += ["", *_table(f"`{name}`", list(section.model_fields.items()), section)]
    return "\n".join(parts) + "\n"


def _table(
    title: str, fields: list[tuple[str, FieldInfo]], section: type[BaseModel] | None = None
) -> list[str]:
    lines = [f"## {title}", ""]
    if section is not None:
        lines += [" ".join((section.__doc__ or "").split()), ""]
    lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
    for name, field in fields:
        meaning = " ".join((field.description or "").split())
        default = field.default if field.default != "" else '""'
        shown = "null" if default is None else str(default)
        shown = f"[{', '.join(default)}]" if isinstance(default, tuple) else shown
        shown = shown.lower() if isinstance(default, bool) else shown
        lines.append(f"| `{name}` | {_type(field)} | `{shown}` | {meaning} |")
    return lines


def _type(field: FieldInfo) -> str:
    bounds = [
        f"{sign} {getattr(rule, kind.__name__.lower())}"
        for rule in field.metadata
        for kind, sign in _BOUNDS.items()
        if isinstance(rule, kind)
    ]
    return _name(field.annotation) + (f", {' and '.join(bounds)}" if bounds else "")


def _name(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(_name(a) for a in arguments)
    if origin is tuple:
        return "list of " + _name(arguments[0])
    if hasattr(annotation, "__metadata__"):  # Annotated inside a union
        return _type(FieldInfo.from_annotation(annotation))
    names = {str: "text", int: "integer", float: "number", bool: "true or false"}
    if annotation is type(None):
        return "null"
    return names.get(annotation, str(annotation))


if __name__ == "__main__":
    _PAGE.parent.mkdir(exist_ok=True)
    _PAGE.write_text(render(), encoding="utf-8")
