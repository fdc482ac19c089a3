"""Have a saved predictor exported by `conversion_process`, within its limits."""

from __future__ import annotations

import json
import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from pydantic import ValidationError

from incumbent.config import ImportingConfig, ServingConfig
from incumbent.errors import StageError, StageTimedOut
from incumbent.importing import conversion_process
from incumbent.importing.conversion import Converted
from incumbent.importing.saved_predictor import Saved
from incumbent.runtime.atomic_files import write_atomically
from incumbent.runtime.child_processes import Process

_TAIL = 3  # last lines of standard error that are shown when it ended without a word
_MEMORY = "Raise importing.memory_gib if the model is that large, and the machine has the memory."


def convert(
    saved: Saved,
    texts: list[str],
    folder: Path,
    text_column: str | tuple[str, ...],
    serving: ServingConfig,
    limits: ImportingConfig,
    say: Callable[[str], None],
) -> Converted:
    """Export a predictor to `folder`, unless that was done before.

    Args:
        saved: The predictor.
        texts: Texts on which the export is held against ktrain's own answers.
        folder: Where the served model goes.
        text_column: The name that consumers' frames give the text, or those of its parts.
        serving: Its precision; `auto` is float32, as no training rows are known to measure int8 on.
        limits: The memory and the time that it may take.
        say: Told what could not be had of the confinement.

    Raises:
        StageError: if it cannot be loaded or exported, answers otherwise then, or needs too much.
    """
    manifest = folder.with_name("converted.json")
    if manifest.is_file() and folder.is_dir():
        return Converted.model_validate_json(manifest.read_text(encoding="utf-8"))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    asked = folder.with_name("texts.parquet")
    pd.DataFrame({"text": texts}).to_parquet(asked)
    request = conversion_process.Request(
        saved=saved, texts=asked.absolute(), served=folder.absolute(), text_column=text_column,
        precision="int8" if serving.precision == "int8" else "float32",
        memory=int(limits.memory_gib * (1 << 30)),
    )  # fmt: skip
    try:
        done = _ask(request, limits, say)
    finally:
        asked.unlink(missing_ok=True)
    write_atomically(manifest, done.model_dump_json(indent=1))
    return done


def _ask(
    request: conversion_process.Request, limits: ImportingConfig, say: Callable[[str], None]
) -> Converted:
    process = Process(conversion_process.__name__, talks=True)
    over = threading.Event()

    def end() -> None:
        over.set()
        process.process.kill()

    alarm = threading.Timer(60 * limits.minutes, end)
    alarm.start()
    try:
        process.ask(request)
        for line in process.said:
            try:
                kind, content = json.loads(line)
                if kind == "converted":
                    return Converted.model_validate(content)
            except (ValueError, TypeError, ValidationError):  # code of the predictor's wrote it
                continue
            if kind == "said":
                say(str(content))
            elif kind == "exhausted":
                raise _too_much(limits)
            elif kind == "refused":
                raise StageError(str(content))
        raise _death(process, limits, over.is_set())
    finally:
        alarm.cancel()
        process.end()


def _too_much(limits: ImportingConfig) -> StageError:
    return StageError(
        "To load the predictor takes more memory than importing.memory_gib allows "
        f"({limits.memory_gib:g} GiB). {_MEMORY}"
    )


def _death(process: Process, limits: ImportingConfig, late: bool) -> StageError:
    """Why it ended without a word."""
    if late:
        return StageTimedOut(
            f"To load and export the predictor took longer than importing.minutes allows "
            f"({limits.minutes:g}), and was ended. If it needs that long, raise it."
        )
    code = process.process.wait()
    errors = process.errors()
    if code in (-signal.SIGKILL, -signal.SIGABRT) or "bad_alloc" in errors:
        return StageError(
            f"The process that loaded the predictor was ended by {signal.Signals(-code).name}: "
            f"it may have taken more memory than there is, or than importing.memory_gib allows "
            f"({limits.memory_gib:g} GiB). {_MEMORY}"
            if code < 0
            else _too_much(limits).args[0]
        )
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    words = "\n".join(errors.strip().splitlines()[-_TAIL:])
    return StageError(
        f"The process that loaded the predictor {how} before it had exported it: the predictor "
        f"cannot be imported. Its last words:\n{words or '(none)'}"
    )
