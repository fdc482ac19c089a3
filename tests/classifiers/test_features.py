"""Feature-based: a head on a frozen encoder, trained in seconds, saved and served as any model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from incumbent.data import datasets
from incumbent.kernels import ktrain_import
from incumbent.predictor import Predictor

pytestmark = pytest.mark.slow

TEXTS = ["A masterpiece of a film, moving and funny.", "A dull, lifeless mess.", "", "x " * 99]


def test_few_reviews_teach_it(
    prepare: Callable[..., Any],
    reviews: Callable[[int], datasets.Dataset],
    here: Path,  # the saved predictor's encoder is made anew in `.incumbent`
) -> None:
    run = prepare(reviews(600), model="features")
    trained = run.fit()
    assert (trained.rows, trained.steps) == (570, 36)
    served = Predictor().load(run.served)
    test = datasets.load(reviews(600).test)
    p = served.probabilities(test["text"].tolist())
    assert (np.array(served.classes)[p.argmax(axis=1)] == test["label"]).mean() > 0.66

    import ktrain

    with ktrain_import.quiet():
        plain = ktrain.load_predictor(str(run.folder))
        assert np.allclose(plain.predict_proba(TEXTS), served.probabilities(TEXTS), atol=1e-5)
    assert plain.model.count_params() == 385 * 2
    assert (here / ".incumbent" / "encoders").is_dir()


def test_many_classes_of_few_rows(prepare: Callable[..., Any], dataset: Any) -> None:
    animals = ["cat", "dog", "horse", "snake", "whale", "eagle"]
    told = ["I saw a {} today", "my {} is asleep", "what does a {} eat?", "a photo of a {}"]
    texts = [way.format(animal) for animal in animals for way in told]
    run = prepare(dataset(texts, np.repeat(animals, 4).tolist()), model="features")
    run.fit()
    served = Predictor().load(run.served)
    answers = served.predict(None, [f"the old {animal} ran away" for animal in animals])
    assert answers["label"].tolist() == animals
