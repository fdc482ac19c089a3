"""The picture of a title's history."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imread

from incumbent.evaluation import figure_style
from incumbent.title import timeline_plot
from incumbent.title.ledger import Entry

START = datetime(2026, 1, 5, 6, tzinfo=UTC)
Drawn = Callable[[list[Entry]], Figure]


def entry(day: float, decision: Any, version: int, **known: Any) -> Entry:
    """An entry so many days after the first."""
    value = known.pop("value", None)
    accuracy = {} if value is None else {"value": value, "low": value - 0.01, "high": value + 0.01}
    return Entry(
        **{
            "after": 0, "previous_champion": 1, "champion": 1, "reign": 1, "reason": "",
            "rule": "superiority", "who": "someone", "decision": decision, "version": version,
            "accuracy": accuracy, "time": (START + timedelta(days=day)).isoformat(),
        } | known
    )  # fmt: skip


FIRST = entry(0, "promoted", 1, previous_champion=None, value=0.850)
KEPT = [entry(7, "kept", 2, value=0.847), entry(14, "rejected", 3, value=0.840)]
WON = entry(21, "promoted", 4, champion=4, value=0.866)
BACK = entry(22, "rolled back", 1, previous_champion=4)
WAITS = entry(28, "waiting", 5, value=0.870)
APPROVED = entry(29, "approved", 5, champion=5, value=0.870)
RENEWED = entry(
    35, "kept", 6, previous_champion=5, champion=5, value=0.800, champion_accuracy=0.810, reign=2,
    new_reign=True,
)  # fmt: skip
NEXT = entry(42, "promoted", 7, previous_champion=5, champion=7, value=0.830, reign=2)
STORY = [FIRST, *KEPT, WON, BACK, WAITS, APPROVED, RENEWED, NEXT]


@pytest.fixture
def drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Drawn:
    """Draw a ledger; gives the figure behind the PNG file."""
    figures: list[Figure] = []

    def save(figure: Figure, path: Path) -> Path:
        figures.append(figure)
        return figure_style.save(figure, path)

    monkeypatch.setattr(timeline_plot, "save", save)

    def draw(entries: list[Entry]) -> Figure:
        path = tmp_path / "timeline.png"
        assert timeline_plot.draw(entries, path, "reviews $ of _2026") == path
        height, width = imread(path).shape[:2]
        assert (width, height) == (1296, 648)
        return figures[-1]

    return draw


def names(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def legend(figure: Figure) -> list[str]:
    found = figure.axes[0].get_legend()
    return [] if found is None else [text.get_text() for text in found.get_texts()]


def dots(figure: Figure) -> list[float]:
    """The accuracies of challengers that were kept out."""
    return [
        float(y)
        for line in figure.axes[0].lines
        if str(line.get_label()).startswith("challengers")
        for y in line.get_ydata()
    ]


def dashed(figure: Figure) -> list[float]:
    """The days on which a reign began."""
    first = timeline_days(figure)[0]
    lines = [line for line in figure.axes[0].lines if line.get_linestyle() == "--"]
    return [round(float(line.get_xdata()[0]) - first, 6) for line in lines]


def timeline_days(figure: Figure) -> list[float]:
    """The days on which a champion began, as Matplotlib counts them."""
    return [float(text.xy[0]) for text in figure.axes[0].texts]


def dates(figure: Figure) -> str:
    """What is written along the bottom."""
    FigureCanvasAgg(figure).draw()
    axis = figure.axes[0].xaxis
    ticks = [tick.get_text() for tick in axis.get_ticklabels()]
    return " ".join([*ticks, axis.get_offset_text().get_text()])


def test_an_empty_ledger_says_that_it_is(drawn: Drawn) -> None:
    assert names(drawn([])) == ["no decisions yet"]


def test_a_first_champion_is_shown_on_its_day(drawn: Drawn) -> None:
    figure = drawn([FIRST])
    assert names(figure) == ["v1"]
    assert not legend(figure)
    assert "2026-Jan-05" in dates(figure)
    # One moment has no width: the champion's line is drawn on beside it.
    low, high = figure.axes[0].get_xlim()
    assert high - low == pytest.approx(1)
    assert all(text.get_text().endswith("%") for text in figure.axes[0].get_yticklabels())


def test_a_first_challenger_that_was_rejected_is_a_dot(drawn: Drawn) -> None:
    figure = drawn([entry(0, "rejected", 1, previous_champion=None, champion=None, value=0.4)])
    assert names(figure) == []
    assert dots(figure) == [0.4]


def test_challengers_that_were_kept_out_are_dots(drawn: Drawn) -> None:
    figure = drawn([FIRST, *KEPT, WAITS])
    assert dots(figure) == [0.847, 0.840, 0.870]
    assert legend(figure) == ["challengers that did not take the title"]
    # Who was approved in the end took it.
    assert dots(drawn([FIRST, *KEPT, WAITS, APPROVED])) == [0.847, 0.840]


def test_a_rollback_is_named(drawn: Drawn) -> None:
    figure = drawn([FIRST, WON, BACK])
    assert names(figure) == ["v1", "v4", "v1 (back)"]
    # Lower than the one before it, its name is below its line: the two days are close.
    above = [text.xyann[1] > 0 for text in figure.axes[0].texts]
    assert above == [True, True, False]


def test_a_new_reign_shows_the_champion_anew(drawn: Drawn) -> None:
    figure = drawn([FIRST, APPROVED, RENEWED, NEXT])
    assert names(figure) == ["v1", "v5", "v5", "v7"]
    assert [text.xy[1] for text in figure.axes[0].texts] == [0.85, 0.87, 0.81, 0.83]
    assert dashed(figure) == [35]
    assert legend(figure) == [
        "a new reign: another test set", "challengers that did not take the title",
    ]  # fmt: skip


def test_who_was_never_measured_on_the_test_set_is_named_all_the_same(drawn: Drawn) -> None:
    back = entry(50, "rolled back", 4, previous_champion=7, champion=4, reign=2)
    figure = drawn([*STORY, back])
    assert names(figure)[-1] == "v4 (back)"
    assert timeline_days(figure)[-1] - timeline_days(figure)[0] == pytest.approx(50)


def test_a_title_that_was_taken_away_leaves_a_gap(drawn: Drawn) -> None:
    gone = entry(7, "moved by hand", 1, champion=None)
    again = entry(14, "moved by hand", 1, previous_champion=None)
    figure = drawn([FIRST, gone, again])
    assert names(figure) == ["v1", "v1"]
    spans = [line.get_xdata() for line in figure.axes[0].lines if len(set(line.get_xdata())) == 2]
    first = timeline_days(figure)[0]
    # The last is drawn on to the margin, a twentieth of the whole.
    assert [(x[0] - first, x[1] - first) for x in spans] == [(0, 7), (14, pytest.approx(14.7))]


def test_a_whole_story_can_be_read(drawn: Drawn) -> None:
    figure = drawn(STORY)
    assert names(figure) == ["v1", "v4", "v1 (back)", "v5", "v5", "v7"]
    said = dates(figure)
    assert "Feb" in said
    assert "2026" in said
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert not [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])]
    ticks = [tick.get_window_extent() for tick in figure.axes[0].get_xticklabels()]
    assert not [pair for pair in combinations(ticks, 2) if pair[0].overlaps(pair[1])]


def test_years_of_weeks_can_be_drawn(drawn: Drawn) -> None:
    story = [FIRST, *(entry(7 * week, "kept", week + 1, value=0.84) for week in range(1, 150))]
    figure = drawn(story)
    assert len(dots(figure)) == 149
    assert {"2027", "2028"} <= set(dates(figure).split())


def test_a_name_is_no_mathematics(drawn: Drawn) -> None:
    title = drawn([FIRST]).axes[0].get_title(loc="left")
    assert title == r"reviews \$ of _2026: accuracy on the frozen test set"
