"""Training, an epoch at a time, against the classic ktrain script and against PyTorch.

All start from the bundled weights, train all of them with Adam, and see the same rows. An epoch's
compilation is left out: each contender runs one before it is timed.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import reviews
from benchmarks.harness import (
    ROOT,
    Answer,
    Contender,
    Process,
    Row,
    alternate,
    figure,
    seconds,
    serve,
    versus,
)
from benchmarks.reviews import Options
from incumbent.data import canonical_text

_RATE = 2e-5
TORCH = ROOT / ".venv-torch" / "bin" / "python"


def long_rows(options: Options) -> Iterator[Row]:
    """500 tokens in batches of 6, as ktrain's own BERT example has it."""
    settings = _settings(options, rows=48 if options.quick else 96, max_length=500, batch_size=6)
    with _process("incumbent", settings) as ours, _process("ktrain", settings) as theirs:
        found = alternate([ours, theirs], {}, options.rounds)
    yield versus(
        "training, 500 tokens, batch 6", "plain ktrain", *map(seconds, found), 4.0,
        note=f"{options.source}; an epoch of {settings['rows']} reviews",
    )  # fmt: skip


def short_rows(options: Options) -> Iterator[Row]:
    """256 tokens in batches of 16, and what share of the machine's matrix rate that is."""
    settings = _settings(options, rows=64 if options.quick else 128, max_length=256, batch_size=16)
    note = f"{options.source}; an epoch of {settings['rows']} reviews"
    name = "training, 256 tokens, batch 16"
    with _process("incumbent", settings) as ours:
        with _process("ktrain", settings) as theirs:
            found = alternate([ours, theirs], {}, options.rounds)
        yield versus(name, "plain ktrain", *map(seconds, found), 2.0, note=note)
        with _process("matrices", {}) as matrices:
            training, products = alternate([ours, matrices], {}, options.rounds)
        shares = [
            (done["flop"] / done["seconds"]) / (most["flop"] / most["seconds"])
            for done, most in zip(training, products, strict=True)
        ]
        yield figure(
            "training, 256 tokens, batch 16: share of the machine's float32 matrix rate",
            "of 1", shares, None,
            note="unpadded tokens only, by the arithmetic that the whole network would take",
        )  # fmt: skip
        if not TORCH.is_file():
            print(f"{TORCH} is missing: `make bench` builds it", file=sys.stderr)
            return
        script = str(ROOT / "benchmarks" / "peer_torch.py")
        with Process(settings | _weights(), str(TORCH), script) as theirs:
            found = alternate([ours, theirs], {}, options.rounds)
        peer = "PyTorch, lengths grouped"
        yield versus(name, peer, *map(seconds, found), 1.2, note=note)


def _settings(options: Options, rows: int, max_length: int, batch_size: int) -> Answer:
    return {
        "sample": str(reviews.sample(options, rows)), "rows": rows, "max_length": max_length,
        "batch_size": batch_size, "rate": _RATE,
    }  # fmt: skip


def _weights() -> Answer:
    from incumbent.encoders import pretrained_weights

    return {"weights": str(pretrained_weights.resolve(pretrained_weights.BUNDLED))}


def _process(name: str, settings: Answer) -> Process:
    return Process(settings, "-m", "benchmarks.training", name)


def _incumbent(settings: Answer) -> Contender:
    """Train as the product does: its classifier, batches and optimizer in ktrain's learner."""
    from incumbent.classifiers import catalogue
    from incumbent.classifiers.classifier_base import Rows
    from incumbent.config import PreprocessingConfig, TrainingConfig
    from incumbent.data import datasets
    from incumbent.encoders import encoded_texts
    from incumbent.kernels import ktrain_import
    from incumbent.training import devices, fitting

    content = json.loads(Path(settings["sample"]).read_text(encoding="utf-8"))
    data = pd.DataFrame({"text": content["texts"], "label": content["labels"]}).astype(str)
    data = canonical_text.canonical(data.assign(row=range(len(data)), found="text"))
    scratch = Path(tempfile.mkdtemp(prefix="incumbent-bench-"))
    classifier = catalogue.create(
        TrainingConfig(model="transformer", epochs=1, batch_size=settings["batch_size"]),
        PreprocessingConfig(max_length=settings["max_length"]), ("0", "1"), scratch,
    )  # fmt: skip
    dataset = datasets.save([data], [data.head(8)], ("train", "test"), scratch)
    encoded = encoded_texts.encode(
        dataset, classifier.tokenize, classifier.recipe, settings["max_length"], scratch
    )
    rows = Rows(*encoded_texts.load(encoded.train))
    lengths = np.array([len(ids) for ids in rows.ids])
    ktrain_import.load()
    import ktrain

    with ktrain_import.quiet(), devices.chosen(classifier.training):
        built = classifier.build(rows, rows.take(np.arange(8)))
        fitting.compile_model(built, classifier.training)
        learner = ktrain.get_learner(
            built.model, train_data=built.train, batch_size=settings["batch_size"]
        )
    return _epochs(learner, settings["rate"], {"flop": _flop(built.model, lengths)})


def _ktrain(settings: Answer) -> Contender:
    """The classic script, as ktrain's documentation has it."""
    from incumbent.kernels import ktrain_import

    ktrain_import.load()
    import ktrain
    from ktrain import text

    content = json.loads(Path(settings["sample"]).read_text(encoding="utf-8"))
    with ktrain_import.quiet():
        transformer = text.Transformer(
            _weights()["weights"], maxlen=settings["max_length"], class_names=["0", "1"]
        )
        train = transformer.preprocess_train(content["texts"], content["labels"], verbose=0)
        model = transformer.get_classifier()
        learner = ktrain.get_learner(model, train_data=train, batch_size=settings["batch_size"])
    return _epochs(learner, settings["rate"], {})


def _epochs(learner: Any, rate: float, more: Answer) -> Contender:
    from incumbent.kernels import ktrain_import

    def epoch(_: Answer) -> Answer:
        start = time.perf_counter()
        with ktrain_import.quiet():
            learner.fit_onecycle(rate, 1, verbose=0)
        return {"seconds": time.perf_counter() - start, **more}

    epoch({})
    return epoch


def _matrices(_: Answer) -> Contender:
    """The largest float32 matrix product that this machine does at its quickest.

    TensorFlow's or NumPy's, whichever is quicker: each leaves a core idle on some processors.
    """
    import tensorflow as tf

    size = 4096
    one, two = (tf.random.normal((size, size)) for _ in range(2))
    arrays = one.numpy(), two.numpy()
    product = tf.function(lambda: tf.linalg.trace(tf.matmul(one, two)))
    contenders: list[Callable[[], Any]] = [
        lambda: float(product()), lambda: np.matmul(*arrays),
    ]  # fmt: skip

    def multiply(_: Answer) -> Answer:
        took = []
        for contender in contenders:
            contender()
            start = time.perf_counter()
            contender()
            took.append(time.perf_counter() - start)
        return {"seconds": min(took), "flop": 2.0 * size**3}

    return multiply


def _flop(model: Any, lengths: np.ndarray) -> float:  # type: ignore[type-arg]
    """Floating-point operations of an epoch: (6 N + 12 L H T) for each token.

    N are the weights of the layers (not the embeddings, which are looked up), L the layers, H the
    hidden units, T the row's tokens (Chowdhery et al. 2022, PaLM, appendix B).
    """
    config = model.config
    weights = sum(int(np.prod(w.shape)) for w in model.bert.encoder.trainable_weights)
    per_token = 6 * weights + 12 * config.num_hidden_layers * config.hidden_size * lengths
    return float((per_token * lengths).sum())


CONTENDERS = {"incumbent": _incumbent, "ktrain": _ktrain, "matrices": _matrices}

if __name__ == "__main__":
    serve(CONTENDERS[sys.argv[1]])
