"""Resume a training from its last checkpoint, to the same end.

Whatever the next steps depend on is saved between two steps: weights, the optimizer's moments, the
schedule, the generators of dropout, early stopping, and the metrics of the epoch so far. The order
of the rows follows from the seed, so that of it the position is enough.
"""

from __future__ import annotations

import hashlib
import json
import numbers
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from incumbent import __version__
from incumbent.classifiers.classifier_base import Classifier
from incumbent.runtime import interrupts
from incumbent.training import devices, random_state
from incumbent.training.checkpoints import Checkpoint, Checkpoints

_LIBRARIES = "tensorflow", "tf-keras", "ktrain", "transformers", "keras-bert", "numpy"
_RATES = "learning_rate", "beta_1"  # what ktrain's schedules move
_QUICK = 5.0  # seconds that a checkpoint may have taken to be written at an interrupt, too

Arrays = dict[str, NDArray[Any]]


def identity(classifier: Classifier, data: str) -> str:
    """A digest of all that a training depends on; `data` is the key of the encoded rows."""
    with devices.chosen(classifier.training) as strategy:
        replicas = strategy.num_replicas_in_sync
    settings = {
        "training": classifier.training.model_dump(exclude={"checkpoint_minutes"}),
        "preprocessing": classifier.preprocessing.model_dump(),
        "recipe": classifier.recipe,
        "classes": classifier.classes,
        "data": data,
        "devices": replicas,
        "versions": [__version__, *map(version, _LIBRARIES)],
    }
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


class Checkpointer(tf.keras.callbacks.Callback):  # type: ignore[misc]
    """Saves checkpoints between steps, and has training begin at the one found.

    An interrupt is let through between two steps, where what was done can still be saved.

    Attributes:
        others: All callbacks that Keras has; to be set before training begins.
    """

    def __init__(self, checkpoints: Checkpoints, reporter: Any) -> None:
        """Begin at the latest checkpoint; `reporter` is that of `callbacks.step_reporter`."""
        super().__init__()
        self.others: list[Any] = []
        self.found = checkpoints.latest()
        self.hold = interrupts.Hold()
        self._checkpoints, self._reporter = checkpoints, reporter
        self._saved = self._begun = self.found.step if self.found else 0

    def on_train_begin(self, _logs: Any = None) -> None:
        """Have Keras ask this object where to begin, when all callbacks have begun."""
        self.model._training_state = self if self.found else None

    def maybe_load_initial_counters_from_ckpt(
        self, steps: int, *_: Any, **__: Any
    ) -> tuple[int, int]:
        """The epoch and its step to begin at, of so many `steps` an epoch; Keras's name for it."""
        found, self.found, self.model._training_state = self.found, None, None
        if found is None:
            return 0, 0
        self._reporter.step, self._reporter.epochs = found.step, found.state["epochs"]
        _restore(self.model, self._schedule, found)
        _skip(self.model, found)
        epoch, step = divmod(found.step, steps)
        return epoch, step

    def on_train_batch_begin(self, _batch: int, _logs: Any = None) -> None:
        """Save what the steps before came to, if it is time to or an interrupt has come."""
        quick = self.hold.told and self._checkpoints.seconds < _QUICK
        step = self._reporter.step
        if step > self._saved and (self._checkpoints.due or quick):
            self._saved = step
            self._checkpoints.save(_taken(self.model, self._schedule, self._reporter))
        self.hold.end()
        # The first step may take long, as it is compiled, and there is nothing to save yet.
        if step > self._begun:
            self.hold.begin()

    def on_test_begin(self, _logs: Any = None) -> None:
        """Validation takes long, and cannot be resumed in its midst."""
        self.hold.end()

    @property
    def _schedule(self) -> list[Any]:
        return [one for one in self.others if one not in (self, self._reporter)]


def _taken(model: Any, schedule: Iterable[Any], reporter: Any) -> Checkpoint:
    """A training as it is, between two steps."""
    optimizer = model.optimizer
    state = {
        "epochs": reporter.epochs,
        "rates": {name: _number(getattr(optimizer, name)) for name in _RATES},
        "schedule": [_numbers(one) for one in schedule],
    }
    arrays = _named("weight", model.weights) | _named("metric", _of_metrics(model))
    arrays |= _named("optimizer", _of_optimizer(optimizer))
    arrays |= {
        f"{slot}.{index}": variable.numpy()
        for slot in _inner(optimizer).get_slot_names()
        for index, variable in _slots(model, slot)
    }
    arrays |= {f"generator.{i}": state for i, state in enumerate(random_state.states(model))}
    for one in schedule:
        best = getattr(one, "best_weights", None) or []
        arrays |= {f"best.{index}": array for index, array in enumerate(best)}
    return Checkpoint(reporter.step, state, arrays)


def _restore(model: Any, schedule: Iterable[Any], found: Checkpoint) -> None:
    """Put a training that has just begun to where it was."""
    arrays, optimizer = found.arrays, model.optimizer
    _assign(model.weights, _listed("weight", arrays))
    inner = _inner(optimizer)
    trainable = model.trainable_weights
    inner._create_all_weights([v for i, v in enumerate(trainable) if f"m.{i}" in arrays])
    for slot in inner.get_slot_names():
        for index, variable in _slots(model, slot):
            variable.assign(arrays[f"{slot}.{index}"])
    _assign(_of_optimizer(optimizer), _listed("optimizer", arrays))
    for name, value in found.state["rates"].items():
        tf.keras.backend.set_value(getattr(optimizer, name), value)
    random_state.restore(model, _listed("generator", arrays))
    for one, values in zip(schedule, found.state["schedule"], strict=True):
        vars(one).update(values)
        if getattr(one, "restore_best_weights", False):
            one.best_weights = _listed("best", arrays) or None


def _skip(model: Any, found: Checkpoint) -> None:
    """Have the first step pass over the batches that were trained on before.

    Its metrics, means of the epoch so far, then take in those of the steps before it.
    """
    step = model.train_function

    def first(iterator: Any) -> Any:
        model.train_function = step
        for _ in range(found.step):
            next(iterator)
        logs = step(iterator)
        before = _listed("metric", found.arrays)
        variables = _of_metrics(model)
        if not any(array.any() for array in before):  # the epoch begins here
            return logs
        for variable, array in zip(variables, before, strict=True):
            getattr(variable, "values", [variable])[0].assign_add(array)
        return model.get_metrics_result()

    model.train_function = first


def _of_metrics(model: Any) -> list[Any]:
    return [variable for metric in model.metrics for variable in metric.variables]


def _of_optimizer(optimizer: Any) -> list[Any]:
    """What an optimizer counts: its steps, and where losses are scaled, by how much."""
    scale = getattr(optimizer, "_loss_scale", None)
    scaling = [scale._current_loss_scale, scale._counter] if scale is not None else []
    return [_inner(optimizer).iterations, *scaling]


def _inner(optimizer: Any) -> Any:
    return getattr(optimizer, "inner_optimizer", optimizer)


def _slots(model: Any, slot: str) -> list[tuple[int, Any]]:
    """The optimizer's variables of one kind, by the number of the weight that each belongs to."""
    inner, found = _inner(model.optimizer), []
    for index, weight in enumerate(model.trainable_weights):
        try:
            found.append((index, inner.get_slot(weight, slot)))
        except KeyError:  # no step has moved it
            continue
    return found


def _named(kind: str, variables: Iterable[Any]) -> Arrays:
    return {f"{kind}.{index}": variable.numpy() for index, variable in enumerate(variables)}


def _listed(kind: str, arrays: Arrays) -> list[NDArray[Any]]:
    count = sum(name.startswith(f"{kind}.") for name in arrays)
    return [arrays[f"{kind}.{index}"] for index in range(count)]


def _assign(variables: list[Any], arrays: list[NDArray[Any]]) -> None:
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def _number(value: Any) -> float:
    return float(tf.keras.backend.get_value(value))


def _numbers(callback: Any) -> dict[str, float | int | bool]:
    """The attributes of a callback that are numbers: where it stands in its schedule."""
    return {
        name: np.asarray(value).item()
        for name, value in vars(callback).items()
        if isinstance(value, (numbers.Real, np.generic))
    }
