"""Prediction: in batches, one at a time and from a cold start, against ktrain and bare ONNX.

incumbent answers through `Predictor().load(folder)`, as the registered model does.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import reviews, served
from benchmarks.harness import (
    ROOT,
    Answer,
    Contender,
    Process,
    Row,
    alternate,
    seconds,
    serve,
    versus,
)
from benchmarks.reviews import Options

_BY_HAND_BATCH = 8  # quicker here than 1, 16 and 32

# What a service does first: load, and answer. The time is that of the whole process.
_COLD = {
    "incumbent": "from pathlib import Path; from incumbent.predictor import Predictor; "
    "Predictor().load(Path({folder!r})).probabilities([{text!r}])",
    "ktrain": "import ktrain; ktrain.load_predictor({folder!r}).predict([{text!r}])",
}


def batch(options: Options) -> Iterator[Row]:
    """All rows in one call."""
    rows = 64 if options.quick else 256
    settings = _settings(options, rows)
    note = f"{options.source}, {rows} of them"
    with _process("incumbent", settings) as ours:
        with _process("ktrain", settings) as theirs:
            found = alternate([ours, theirs], {}, options.rounds)
        peer = "predictor.predict"
        yield versus("batch prediction, 256 tokens", peer, *map(seconds, found), 4.5, note=note)
        by_hand = settings | {"onnx": str(served.int8_by_hand(options))}
        with _process("onnx", by_hand) as theirs:
            found = alternate([ours, theirs], {}, options.rounds)
        peer = "onnxruntime int8 by hand"
        yield versus("batch prediction, 256 tokens", peer, *map(seconds, found), 1.0, note=note)


def single(options: Options) -> Iterator[Row]:
    """One review a call: the median of the calls."""
    settings = _settings(options, 8 if options.quick else 32) | {"single": True}
    with _process("incumbent", settings) as ours, _process("ktrain", settings) as theirs:
        found = alternate([ours, theirs], {}, options.rounds)
    yield versus(
        "one review at a time, p50", "predictor.predict", *map(seconds, found), 8.0,
        note=options.source,
    )  # fmt: skip


def cold(options: Options) -> Iterator[Row]:
    """From the start of a process to its first answer."""
    folders = {"incumbent": served.served_folder(options), "ktrain": served.ktrain_folder(options)}
    text = "A gripping, beautifully shot film."
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"}

    def start(name: str) -> Contender:
        code = _COLD[name].format(folder=str(folders[name]), text=text)

        def run(_: Answer) -> Answer:
            begun = time.perf_counter()
            subprocess.run(  # noqa: S603
                [sys.executable, "-c", code], check=True, capture_output=True, env=environment
            )
            return {"seconds": time.perf_counter() - begun}

        return run

    found = alternate([start("incumbent"), start("ktrain")], {}, options.rounds)
    yield versus("cold process to first answer", "ktrain", *map(seconds, found), 10.0)


def _settings(options: Options, rows: int) -> Answer:
    return {
        "sample": str(reviews.sample(options, rows)),
        "served": str(served.served_folder(options)),
        "ktrain": str(served.ktrain_folder(options)),
    }


def _process(name: str, settings: Answer) -> Process:
    return Process(settings, "-m", "benchmarks.prediction", name)


def _incumbent(settings: Answer) -> Contender:
    from incumbent.predictor import Predictor

    return _timed(Predictor().load(Path(settings["served"])).probabilities, settings)


def _ktrain(settings: Answer) -> Contender:
    from incumbent.kernels import ktrain_libraries

    ktrain_libraries.load()
    import ktrain

    return _timed(ktrain.load_predictor(settings["ktrain"]).predict, settings)


def _onnx(settings: Answer) -> Contender:
    """Batches of 8 as the rows come, padded to the longest of each."""
    import numpy as np
    import onnxruntime
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(Path(settings["ktrain"]) / "tokenizer.json"))
    tokenizer.enable_truncation(served.MAX_LENGTH)
    tokenizer.enable_padding()
    session = onnxruntime.InferenceSession(settings["onnx"], providers=["CPUExecutionProvider"])

    def predict(texts: Sequence[str]) -> list[Any]:
        answers = []
        for first in range(0, len(texts), _BY_HAND_BATCH):
            rows = tokenizer.encode_batch(list(texts[first : first + _BY_HAND_BATCH]))
            feed = {
                "input_ids": np.array([row.ids for row in rows], np.int32),
                "attention_mask": np.array([row.attention_mask for row in rows], np.int32),
            }
            answers.append(session.run(None, feed)[0])
        return answers

    return _timed(predict, settings)


def _timed(predict: Callable[[list[str]], Any], settings: Answer) -> Contender:
    """A round over all texts in one call, or the median of a call for each."""
    texts = json.loads(Path(settings["sample"]).read_text(encoding="utf-8"))["texts"]
    calls = [[text] for text in texts] if settings.get("single") else [texts]

    def answer(_: Answer) -> Answer:
        took = []
        for call in calls:
            start = time.perf_counter()
            predict(call)
            took.append(time.perf_counter() - start)
        return {"seconds": statistics.median(took)}

    predict(texts[:1])
    predict(texts[:16])
    return answer


CONTENDERS = {"incumbent": _incumbent, "ktrain": _ktrain, "onnx": _onnx}

if __name__ == "__main__":
    serve(CONTENDERS[sys.argv[1]])
