"""The linear schedule by its formula."""

from __future__ import annotations

import pytest

from incumbent.training.schedules import linear


@pytest.mark.parametrize(
    ("warmup", "expected"),
    [
        (0, [1, 0.75, 0.5, 0.25]),
        (0.5, [0.5, 1, 1, 0.5]),
        (0.75, [1 / 3, 2 / 3, 1, 1]),
    ],
)
def test_linear_goes_up_in_the_warm_up_and_down_after_it(
    warmup: float, expected: list[float]
) -> None:
    assert [linear(step, 4, warmup) for step in range(4)] == pytest.approx(expected)


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 997])
@pytest.mark.parametrize("warmup", [0, 0.1, 0.5, 0.9])
def test_no_step_is_taken_at_a_rate_of_0(steps: int, warmup: float) -> None:
    shares = [linear(step, steps, warmup) for step in range(steps)]
    assert 0 < min(shares) <= max(shares) <= 1
