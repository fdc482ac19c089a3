"""The champion of one real retraining, loaded as a consumer loads it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conftest import Place


@pytest.fixture(scope="module")
def champion(first: tuple[Place, dict[str, Any]]) -> Any:
    """`models:/reviews@champion` of the small retraining, as a pyfunc."""
    place, outcome = first
    assert outcome["decision"] == "promoted"
    import mlflow

    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(place.store)
    try:
        return mlflow.pyfunc.load_model(f"models:/{outcome['model_name']}@champion")
    finally:
        mlflow.set_tracking_uri(before)


@pytest.fixture(scope="module")
def positive(champion: Any) -> Callable[[Sequence[str]], NDArray[np.float64]]:
    """The probability that each text is positive, (n,)."""
    return lambda texts: champion.predict(list(texts))["probability_pos"].to_numpy()
