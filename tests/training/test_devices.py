"""Several devices train as one does, and half precision nearly so."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from incumbent.training import devices
from tests.conftest import ROOT

Train = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    ("wanted", "capabilities", "policy"),
    [
        ("auto", [], "float32"),
        ("auto", [(6, 1)], "float32"),
        ("auto", [(7, 5)], "mixed_float16"),
        ("auto", [(8, 6), (9, 0)], "mixed_bfloat16"),
        ("auto", [(9, 0), (7, 0)], "mixed_float16"),
        ("float32", [(9, 0)], "float32"),
        ("mixed_bfloat16", [], "mixed_bfloat16"),
    ],
)
def test_precision_follows_the_weakest_gpu(
    wanted: str, capabilities: list[tuple[int, int]], policy: str
) -> None:
    assert devices.precision(wanted, capabilities) == policy


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> Path:
    """50 rows: 47 to train on, so that the last batch of 8 has 7; and a BERT without dropout."""
    folder = tmp_path_factory.mktemp("devices")
    config = json.loads((tiny_bert / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    weights = folder / "weights"
    weights.mkdir()
    for file in tiny_bert.iterdir():
        (weights / file.name).write_bytes(file.read_bytes())
    (weights / "config.json").write_text(json.dumps(config))
    words = np.array(["good", "fine", "film", "plot", "the", "a", "cast", "shines", "dull"])
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(words, random.integers(2, 20))) for _ in range(49)]
    content = {"texts": texts, "labels": ["pos" if "good" in text else "neg" for text in texts]}
    (folder / "rows.json").write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="module")
def train(warmed: None, rows: Path) -> Train:
    """Train on so many devices; further arguments are the training config's."""

    def make(count: int, **settings: Any) -> dict[str, Any]:
        whole = {
            "weights": str(rows / "weights"), "batch_size": 8, "epochs": 2, "learning_rate": 1e-3,
            "validation_fraction": 0.05, **settings,
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "tests.training.share", str(count), str(rows),
             json.dumps(whole)],
            capture_output=True, text=True, check=False, cwd=ROOT,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer

    return make


@pytest.fixture(scope="module")
def one(train: Train) -> dict[str, Any]:
    """What one device in float32 comes to."""
    return train(1)


@pytest.mark.slow
def test_two_devices_have_the_losses_of_one(train: Train, one: dict[str, Any]) -> None:
    two = train(2)
    assert len(one["losses"]) == len(two["losses"]) == 12
    # The last batch of the epoch has an odd row, which two devices fill up with a second copy.
    assert two["losses"][:5] == pytest.approx(one["losses"][:5], abs=1e-4)
    assert two["losses"] == pytest.approx(one["losses"], abs=0.02)
    assert np.allclose(one["probabilities"], two["probabilities"], atol=0.02)
    assert one["losses"][-1] < one["losses"][0]


@pytest.fixture(scope="module")
def whole(train: Train) -> dict[str, Any]:
    """What one device in float32 comes to, from the head of random numbers."""
    return train(1, head="random")


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_learns_as_well_and_is_saved_whole(
    train: Train, whole: dict[str, Any], precision: str
) -> None:
    # Both from the same head: one that is fitted to rounded states begins elsewhere.
    half = train(1, head="random", precision=precision)
    assert half["losses"] == pytest.approx(whole["losses"], abs=0.05)
    assert half["policy"] == "float32"  # as it was before
    assert np.allclose(half["probabilities"], whole["probabilities"], atol=0.05)
