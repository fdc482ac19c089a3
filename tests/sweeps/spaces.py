"""A space that the tests of studies search."""

from __future__ import annotations

SPACE = {
    "training.learning_rate": {"low": 1e-5, "high": 1e-2, "log": True},
    "training.epochs": {"low": 1, "high": 4},
}
