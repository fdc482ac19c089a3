"""A frozen encoder: the vectors that sentence-transformers defines, made once for each text."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from incumbent.encoders import frozen_encoder, tokenizing
from incumbent.encoders.frozen_encoder import FrozenEncoder
from incumbent.kernels import ktrain_import
from incumbent.predictor import TOKENIZER

pytestmark = pytest.mark.slow

TEXTS = ["A masterpiece.", "Dull, " * 60 + "and long.", "déjà vu", "", "A masterpiece."]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> FrozenEncoder:
    return FrozenEncoder("bundled", 32, tmp_path_factory.mktemp("workdir"))


def test_a_vector_is_the_mean_state_of_a_length_of_1(encoder: FrozenEncoder, bundled: Path) -> None:
    vectors = encoder.vectors(TEXTS)
    ktrain_import.load()
    from tokenizers import Tokenizer
    from transformers import TFAutoModel

    with ktrain_import.quiet():
        model = TFAutoModel.from_pretrained(str(bundled))
    reader = Tokenizer.from_file(str(bundled / TOKENIZER))
    ids, _ = tokenizing.tokenize(reader, TEXTS, TEXTS, 32)
    assert len(ids[1]) == 32
    for row, vector in zip(ids, vectors, strict=True):
        mean = model(row[None]).last_hidden_state.numpy()[0].mean(axis=0)
        assert np.allclose(vector, mean / np.linalg.norm(mean), atol=1e-5)


def test_what_it_made_of_a_text_is_kept(
    encoder: FrozenEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = encoder.vectors(TEXTS)
    asked: list[str] = []

    class Watched(frozen_encoder.Transformer):
        def __call__(self, texts: Any) -> Any:
            asked.extend(texts)
            return super().__call__(texts)

    monkeypatch.setattr(frozen_encoder, "Transformer", Watched)
    monkeypatch.setattr(frozen_encoder, "_AT_ONCE", 2)
    monkeypatch.setattr(frozen_encoder, "_KEPT_AT_ONCE", 2)
    assert np.array_equal(encoder.vectors([*TEXTS, "new", "newer", "newest"])[:5], known)
    assert asked == ["new", "newer", "newest"]
    encoder.vectors(["newest", *TEXTS])
    assert len(asked) == 3


def test_texts_cut_elsewhere_are_other_texts(encoder: FrozenEncoder) -> None:
    longer = FrozenEncoder("bundled", 64, encoder.folder.parent.parent)
    assert longer.folder == encoder.folder
    assert not np.allclose(longer.vectors(TEXTS)[1], encoder.vectors(TEXTS)[1], atol=1e-3)


def test_it_is_saved_without_this_machines_folders(encoder: FrozenEncoder) -> None:
    assert str(encoder.folder.parent).encode() not in pickle.dumps(encoder)
    gone = FrozenEncoder("no/such/folder", 32, encoder.folder)
    assert pickle.loads(pickle.dumps(gone)).max_length == 32, "weights are looked for when wanted"  # noqa: S301
    assert pickle.loads(pickle.dumps(encoder)).max_length == 32  # noqa: S301  our own
