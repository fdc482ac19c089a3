from __future__ import annotations

import math
from pathlib import Path

import pytest

from incumbent.sweeps import sweep_plots
from incumbent.sweeps.search_space import SearchSpace
from incumbent.sweeps.shared_study import Trial

SPACE = SearchSpace.of(
    {
        "training.learning_rate": {"low": 1e-5, "high": 1e-3, "log": True},
        "training.epochs": {"low": 1, "high": 3},
        "training.clip_norm": {"choices": [None, 1.0]},
    }
)
TRIALS = [
    Trial(
        number=n, loss=loss, accuracy=0.5,
        values={
            "training.learning_rate": rate, "training.epochs": epochs, "training.clip_norm": norm
        },
    )
    for n, (rate, epochs, norm, loss) in enumerate(
        [(1e-5, 1, None, 0.6), (1e-4, 2, 1.0, 0.4), (1e-3, 3, None, 0.5)]
    )
]  # fmt: skip


def test_each_trial_is_a_line_through_its_values_to_its_loss() -> None:
    figure = sweep_plots.parallel_coordinates(TRIALS, SPACE)
    (axes,) = figure.axes
    lines = [line.get_ydata() for line in axes.lines if len(line.get_xdata()) == 4 if
             list(line.get_xdata()) == [0, 1, 2, 3]]  # fmt: skip
    # clip_norm, epochs, learning_rate (by its logarithm), loss: the best is drawn last.
    expected = [[0, 0, 0, 1], [0, 1, 1, 0.5], [1, 0.5, 0.5, 0]]
    for line, heights in zip(lines, expected, strict=True):
        assert list(line) == pytest.approx(heights)
    texts = {text.get_text() for text in axes.texts}
    assert {"1", "2", "3", "None", "1.0", "1e-05", "0.001", "0.4000", "0.6000"} <= texts
    assert "1.5" not in texts  # no half epoch


@pytest.mark.parametrize("count", [0, 1, 3])
def test_what_can_be_drawn_is_drawn(tmp_path: Path, count: int) -> None:
    importances = {"training.epochs": 0.25, "training.learning_rate": 0.75}
    found = sweep_plots.draw(TRIALS[:count], importances, SPACE, tmp_path / "plots")
    names = ["sweep_parallel_coordinates", "sweep_importances"] if count > 1 else []
    assert list(found) == names
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in found.values())


def test_trials_of_one_loss_and_one_value_are_drawn() -> None:
    space = SearchSpace.of({"training.epochs": {"low": 2, "high": 2}})
    trials = [Trial(number=n, values={"training.epochs": 2}, loss=0.5, accuracy=1) for n in (0, 1)]
    (axes,) = sweep_plots.parallel_coordinates(trials, space).axes
    assert all(math.isfinite(y) for line in axes.lines for y in line.get_ydata())
