"""A pooling layer: the first token's state is the mean of all, in a BERT as any other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from incumbent.encoders import pooling_layer
from incumbent.kernels import ktrain_import

pytestmark = pytest.mark.slow


def test_the_first_token_sees_the_mean(bundled: Path, tmp_path: Path) -> None:
    assert pooling_layer.trained_by_mean(bundled)
    folder = pooling_layer.added(bundled, "bundled", tmp_path)
    ktrain_import.load()
    from transformers import TFAutoModel

    with ktrain_import.quiet():
        before, after = (TFAutoModel.from_pretrained(str(f)) for f in (bundled, folder))
    ids = np.array([[101, 2023, 2003, 1037, 2200, 2204, 2143, 102]])
    mean = before(ids).last_hidden_state.numpy()[0].mean(axis=0)
    first = after(ids).last_hidden_state.numpy()[0, 0]
    assert np.corrcoef(mean, first)[0, 1] > 0.99
    pooled = after(ids).pooler_output.numpy()[0]
    assert np.corrcoef(mean, pooled)[0, 1] > 0.98


def test_it_is_made_once_and_beside_the_tokenizer(bundled: Path, tmp_path: Path) -> None:
    folder = pooling_layer.added(bundled, "bundled", tmp_path)
    weights = folder / "model.safetensors"
    made = weights.stat().st_mtime_ns
    assert pooling_layer.added(bundled, "bundled", tmp_path) == folder
    assert weights.stat().st_mtime_ns == made
    assert (folder / "tokenizer.json").read_bytes() == (bundled / "tokenizer.json").read_bytes()
    assert json.loads((folder / "config.json").read_text("utf-8"))["num_hidden_layers"] == 7


def test_weights_that_were_not_trained_so_are_left(bundled: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(bundled, other)
    pooling = other / "1_Pooling" / "config.json"
    pooling.write_text('{"pooling_mode_cls_token": true}', encoding="utf-8")
    assert not pooling_layer.trained_by_mean(other)
    pooling.unlink()
    assert not pooling_layer.trained_by_mean(other)
