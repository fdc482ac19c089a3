"""The keras_bert route: the converted checkpoint is the same model, and it trains and is saved."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from incumbent.data import datasets
from incumbent.encoders import pretrained_weights
from incumbent.errors import ConfigError
from incumbent.kernels import ktrain_import
from incumbent.predictor import Predictor

pytestmark = pytest.mark.slow

TEXTS = [
    "A masterpiece of a film, moving & funny.",
    "Dull, " * 100 + "and long.",
    "Überraschend gut – déjà vu! 🎬 最高の映画だ",
    "unputdownable",
    "",
    "   ",
]

Ready = Callable[..., Any]


@pytest.fixture(scope="module")
def embedded(reviews: Callable[[int], datasets.Dataset]) -> datasets.Dataset:
    return reviews(60)


def test_the_converted_checkpoint_is_the_same_model(bundled: Path, workdir: Path) -> None:
    ktrain_import.load()
    import tensorflow as tf
    from keras_bert import load_trained_model_from_checkpoint
    from transformers import AutoTokenizer, BertConfig, TFBertModel

    folder = pretrained_weights.google_checkpoint("bundled", workdir)
    inputs = AutoTokenizer.from_pretrained(str(bundled))(
        TEXTS[:4], padding="max_length", truncation=True, max_length=32, return_tensors="tf"
    )
    with ktrain_import.quiet():
        # keras_bert has the GELU of Google's own code, which is approximated by tanh.
        config = BertConfig.from_pretrained(str(bundled), hidden_act="gelu_new")
        hugging_face = TFBertModel.from_pretrained(str(bundled), config=config)
        theirs = hugging_face(**inputs).last_hidden_state.numpy()
        model = load_trained_model_from_checkpoint(
            str(folder / "bert_config.json"), str(folder / "bert_model.ckpt"), seq_len=32
        )
        ours = model([inputs["input_ids"], tf.zeros_like(inputs["input_ids"])]).numpy()
    real = inputs["attention_mask"].numpy() == 1
    assert np.abs(theirs[real]).mean() > 0.1
    assert np.allclose(ours[real], theirs[real], atol=1e-4)


def test_it_is_converted_once(tiny_bert: Path, tmp_path: Path) -> None:
    ktrain_import.load()
    first = pretrained_weights.google_checkpoint(str(tiny_bert), tmp_path)
    stamps = {file: file.stat().st_mtime_ns for file in first.iterdir()}
    assert pretrained_weights.google_checkpoint(str(tiny_bert), tmp_path) == first
    assert {file: file.stat().st_mtime_ns for file in first.iterdir()} == stamps
    assert [folder.name for folder in first.parent.iterdir()] == [first.name]
    assert (
        pretrained_weights.google_checkpoint(str(first), tmp_path) == first
    )  # it is in Google's layout


def test_token_ids_are_ktrains_own(
    prepare: Ready, embedded: datasets.Dataset, tiny_bert: Path
) -> None:
    classifier = prepare(embedded, model="bert", weights=str(tiny_bert)).classifier
    short, ids, lengths = classifier.tokenize(TEXTS)
    with ktrain_import.quiet():
        from ktrain.text.preprocessor import bert_tokenize

        tokenizer = classifier._preprocessor().get_tokenizer()
        tokens, _ = bert_tokenize(TEXTS, tokenizer, 32, verbose=0)
    for row, theirs in zip(ids, tokens, strict=True):
        assert np.array_equal(np.pad(row, (0, 32 - len(row))), theirs)
    assert short == TEXTS
    assert lengths[1] > 200 > 32 == len(ids[1])
    assert list(lengths[4:]) == [2, 2]


@pytest.mark.parametrize("freeze", [True, False])
def test_it_is_trained_saved_and_served(
    prepare: Ready, embedded: datasets.Dataset, tiny_bert: Path, freeze: bool
) -> None:
    from safetensors.numpy import load_file

    run = prepare(embedded, model="bert", weights=str(tiny_bert), freeze_embeddings=freeze)
    trained = run.fit()
    assert trained.steps == 4
    import ktrain

    with ktrain_import.quiet():
        plain = ktrain.load_predictor(str(run.folder))
        expected = plain.predict_proba(TEXTS)
    assert np.allclose(Predictor().load(run.served).probabilities(TEXTS), expected, atol=1e-5)
    assert np.allclose(expected.sum(axis=1), 1, atol=1e-5)
    before = load_file(tiny_bert / "model.safetensors")["embeddings.word_embeddings.weight"]
    after = plain.model.get_layer("Embedding-Token").get_weights()[0]
    assert np.array_equal(before, after) == freeze


def test_it_is_cut_by_the_tokenizer_that_is_saved_with_it(
    prepare: Ready, embedded: datasets.Dataset, tiny_bert: Path
) -> None:
    run = prepare(embedded, model="bert", weights=str(tiny_bert), truncation="tail", max_length=16)
    run.fit()
    assert (run.served / "tokenizer.json").is_file()
    import ktrain

    with ktrain_import.quiet():
        expected = ktrain.load_predictor(str(run.folder)).predict_proba(["good " * 14])
    found = Predictor().load(run.served).probabilities(["bad " * 50 + "good " * 14])
    assert np.allclose(found, expected, atol=1e-5)


def test_more_than_512_tokens_are_refused(prepare: Ready, embedded: datasets.Dataset) -> None:
    with pytest.raises(ConfigError, match="max_length is 513; BERT reads at most 512"):
        prepare(embedded, model="bert", max_length=513)


def test_weights_of_another_model_are_refused(
    prepare: Ready, embedded: datasets.Dataset, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "roberta"}), encoding="utf-8")
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(ConfigError, match=r"holds a 'roberta' model; `training.model: bert` needs"):
        prepare(embedded, model="bert", weights=str(tmp_path))


def test_weights_named_as_tensorflow_does_are_refused(
    prepare: Ready, embedded: datasets.Dataset, tiny_bert: Path, tmp_path: Path
) -> None:
    ktrain_import.load()
    from transformers import TFBertModel

    with ktrain_import.quiet():
        TFBertModel.from_pretrained(str(tiny_bert)).save_pretrained(
            tmp_path / "tf", safe_serialization=True
        )
    with pytest.raises(ConfigError, match="does not name its tensors as PyTorch does"):
        prepare(embedded, model="bert", weights=str(tmp_path / "tf"))


def test_a_checkpoint_in_googles_layout_is_for_bert_alone(
    prepare: Ready, embedded: datasets.Dataset, tiny_bert: Path, tmp_path: Path
) -> None:
    ktrain_import.load()
    folder = pretrained_weights.google_checkpoint(str(tiny_bert), tmp_path)
    with pytest.raises(ConfigError, match=r"checkpoint in Google's layout; set training.model to"):
        prepare(embedded, model="transformer", weights=str(folder))
