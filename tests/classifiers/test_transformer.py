"""Hugging Face models: the same input, loss and predictions as ktrain's own, and quicker."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from incumbent.classifiers.classifier_base import Rows
from incumbent.data import datasets
from incumbent.encoders import encoded_texts, pretrained_weights
from incumbent.errors import ConfigError
from incumbent.kernels import ktrain_import
from incumbent.predictor import Predictor
from tests.trainings import Run, ready

pytestmark = pytest.mark.slow

TEXTS = [
    "A masterpiece.",
    "Dull, " * 200 + "and long.",
    "Überraschend gut – déjà vu! 🎬🍿 最高の映画だ 영화",
    "x",
    "   ",
    "\n\t.",
    "un\u200bput\u00addownable\u00a0& <br /> [SEP] [MASK]",
]

Ready = Callable[..., Any]
AS_TRAINED: dict[str, Any] = {"seed": 5, "learning_rate": 1e-3}


@pytest.fixture(scope="module")
def embedded(reviews: Callable[[int], datasets.Dataset]) -> datasets.Dataset:
    return reviews(200)


def embeddings(model: Any) -> NDArray[np.float32]:
    return np.array(getattr(model, model.base_model_prefix).embeddings.weight)


def test_token_ids_are_ktrains_own(
    prepare: Ready, embedded: datasets.Dataset, bundled: Path
) -> None:
    classifier = prepare(embedded).classifier
    short, ids, lengths = classifier.tokenize(TEXTS)
    with ktrain_import.quiet():
        from ktrain import text

        ktrains = text.Transformer(str(bundled), maxlen=32, class_names=["a", "b"])
        data = ktrains.preprocess_train(TEXTS, [0, 1] * 3 + [0], verbose=0)
    tokens, mask = np.zeros((len(TEXTS), 32), int), np.zeros((len(TEXTS), 32), int)
    for index, row in enumerate(ids):
        tokens[index, : len(row)], mask[index, : len(row)] = row, 1
    assert np.array_equal(tokens, data.x[:, 0])
    assert np.array_equal(mask, data.x[:, 1])
    assert short == TEXTS
    assert lengths[1] > 400 > 32 == len(ids[1])
    assert [len(row) for row in ids[3:5]] == [3, 2]


def test_a_batch_of_like_length_gives_what_a_padded_one_gives(
    prepare: Ready, embedded: datasets.Dataset, tiny_bert: Path
) -> None:
    import tensorflow as tf

    run = prepare(embedded, weights=str(tiny_bert), max_length=64)
    rows = Rows(*encoded_texts.load(run.encoded.train))
    few = rows.take(np.argsort([len(row) for row in rows.ids])[:16])
    with ktrain_import.quiet():
        built = run.classifier.build(few, few)
        inputs, targets = next(iter(built.train.to_tfdataset(train=False)))
        width = inputs["input_ids"].shape[1]
        assert width < 64
        logits = built.model(inputs, training=False).logits
        padding = [[0, 0], [0, 64 - width]]
        padded = {name: tf.pad(values, padding) for name, values in inputs.items()}
        other = built.model(padded, training=False).logits
    assert np.allclose(logits, other, atol=1e-4)
    assert float(built.loss(targets, logits)) == pytest.approx(
        float(built.loss(targets, other)), abs=1e-4
    )
    assert np.array_equal(targets, np.eye(2)[few.labels])


def test_training_batches_cover_every_row_and_come_again(
    prepare: Ready, embedded: datasets.Dataset, tiny_bert: Path
) -> None:
    run = prepare(embedded, weights=str(tiny_bert))
    rows = Rows(*encoded_texts.load(run.encoded.train))
    with ktrain_import.quiet():
        data = run.classifier.build(rows, rows).train
        steps = -(-len(rows.labels) // 16)
        first, second = (
            [inputs["input_ids"].numpy() for inputs, _ in data.to_tfdataset().take(2 * steps)]
            for _ in range(2)
        )
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    seen = sorted(tuple(row[row > 0]) for batch in first[:steps] for row in batch)
    assert seen == sorted(tuple(row) for row in rows.ids)
    assert len({batch.shape[1] for batch in first}) > 1


def test_the_real_weights_learn_and_are_saved_as_ktrain_saves(
    prepare: Ready, embedded: datasets.Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    run = prepare(embedded, epochs=3, learning_rate=3e-4, freeze_embeddings=True)
    trained = run.fit()
    # ktrain leaves copies of the weights; TensorFlow's own code files go when the process ends.
    assert [file for file in scratch.iterdir() if "autograph" not in file.name] == []
    assert (trained.rows, trained.validation_rows, trained.steps) == (190, 10, 36)
    assert run.reported("train_loss")[0] < 0.5 < np.log(2), "the head knows something already"
    assert trained.metrics["train_loss"] < 0.6
    assert [state.step for state in run.progress if "validation_loss" in state.metrics] == [
        12, 24, 36,
    ]  # fmt: skip
    assert "CPU" in run.said[0] or "GPU" in run.said[0]

    import ktrain

    texts = [
        "A masterpiece of a film, moving and funny.",
        "A dull, lifeless mess.",
        "",
        *TEXTS[1:3],
    ]
    with ktrain_import.quiet():
        plain = ktrain.load_predictor(str(run.folder)).predict_proba(texts)
    served = Predictor().load(run.served)
    assert np.allclose(served.probabilities(texts), plain, atol=1e-5)
    assert served.classes == ("neg", "pos")
    assert plain[0, 1] > plain[1, 1] + 0.2
    assert str(pretrained_weights.resolve("bundled")) not in (run.folder / "config.json").read_text(
        "utf-8"
    )


@pytest.fixture(scope="module")
def trained(
    embedded: datasets.Dataset, tiny_bert: Path, workdir: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Run:  # fmt: skip
    """The small BERT, trained as `AS_TRAINED` says."""
    run = ready(
        embedded, workdir, tmp_path_factory.mktemp("trained"), weights=str(tiny_bert), **AS_TRAINED
    )
    run.fit()
    return run


def test_what_is_finished_is_not_trained_again(
    embedded: datasets.Dataset, tiny_bert: Path, workdir: Path, trained: Run
) -> None:
    stamps = {file: file.stat().st_mtime_ns for file in trained.folder.iterdir()}
    again = ready(embedded, workdir, trained.folder.parent, weights=str(tiny_bert), **AS_TRAINED)
    assert again.encoded.cached
    assert again.fit() == trained.trained
    assert again.progress == []
    assert {file: file.stat().st_mtime_ns for file in again.folder.iterdir()} == stamps


def test_the_seed_decides(
    prepare: Ready, embedded: datasets.Dataset, tiny_bert: Path, trained: Run
) -> None:
    texts = ["A masterpiece.", "A dull mess.", "The plot is thin, and the cast shines."]

    def probabilities(run: Run) -> NDArray[np.float64]:
        return Predictor().load(run.served).probabilities(texts)

    same, other = (
        prepare(embedded, name, weights=str(tiny_bert), **AS_TRAINED | {"seed": seed})
        for name, seed in (("same", AS_TRAINED["seed"]), ("other", 6))
    )
    assert trained.trained is not None
    assert trained.trained.metrics == pytest.approx(same.fit().metrics, abs=1e-3)
    other.fit()
    assert np.allclose(probabilities(trained), probabilities(same), atol=1e-4)
    assert not np.allclose(probabilities(trained), probabilities(other), atol=1e-4)


def test_embeddings_move_unless_they_are_frozen(
    prepare: Ready, embedded: datasets.Dataset, tiny_bert: Path, trained: Run
) -> None:
    from safetensors.numpy import load_file

    frozen = prepare(embedded, weights=str(tiny_bert), freeze_embeddings=True)
    frozen.fit()
    before = load_file(tiny_bert / "model.safetensors")["embeddings.word_embeddings.weight"]
    import ktrain

    for run, stays in ((frozen, True), (trained, False)):
        after = embeddings(ktrain.load_predictor(str(run.folder)).model)
        assert np.array_equal(before, after) == stays


def test_fewer_rows_than_a_batch_and_a_class_of_one_row(
    prepare: Ready, dataset: Callable[..., datasets.Dataset], tiny_bert: Path
) -> None:
    data = dataset(["good film", "great film", "fine film", "bad film"], ["pos"] * 3 + ["neg"])
    run = prepare(data, weights=str(tiny_bert), batch_size=64, validation_fraction=0.4)
    trained = run.fit()
    assert (trained.rows, trained.validation_rows, trained.steps) == (3, 1, 1)
    assert Predictor().load(run.served).probabilities(["good film"]).shape == (1, 2)


def test_more_tokens_than_the_model_has_positions_are_refused(
    prepare: Ready, embedded: datasets.Dataset
) -> None:
    with pytest.raises(ConfigError, match=r"max_length is 600; .* at most 512 tokens"):
        prepare(embedded, max_length=600)


def test_the_recipe_follows_the_tokenizer_and_the_length(
    prepare: Ready, embedded: datasets.Dataset, tiny_bert: Path, bundled: Path
) -> None:
    def recipe(**settings: Any) -> str:
        return str(prepare(embedded, **settings).classifier.recipe)

    assert recipe(weights=str(tiny_bert)) == recipe()  # the same vocabulary
    assert recipe(max_length=16) != recipe()
    assert recipe(truncation="tail") != recipe()
