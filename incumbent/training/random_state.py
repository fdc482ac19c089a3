"""Save and restore the random generators of layers, whose state Keras hides."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def seed(model: Any, number: int) -> None:
    """Give each random layer of a model, dropout above all, a generator with a seed of its own.

    The same model and number give the same seeds, whatever was drawn before.
    """
    layers = _layers(model)
    for layer, own in zip(layers, np.random.SeedSequence(number).spawn(len(layers)), strict=True):
        value = int(own.generate_state(1)[0] >> 1)  # Keras takes an int32
        generator = type(layer._random_generator)(value, rng_type="stateful")
        generator._maybe_init()  # its variable, which cannot be made within a step
        layer._random_generator = generator


def states(model: Any) -> list[NDArray[Any]]:
    """The states of all generators, one for each device."""
    return [part.numpy() for part in _variables(model)]


def restore(model: Any, states: list[NDArray[Any]]) -> None:
    """Put the generators back to where they were."""
    for part, state in zip(_variables(model), states, strict=True):
        part.assign(state)


def _layers(model: Any) -> list[Any]:
    return [layer for layer in model.submodules if hasattr(layer, "_random_generator")]


def _variables(model: Any) -> list[Any]:
    states = [layer._random_generator._generator.state for layer in _layers(model)]
    return [part for state in states for part in getattr(state, "values", [state])]
