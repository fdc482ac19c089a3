"""The harness pairs rounds, speaks to its contenders, and keeps the table in order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmarks import harness, performance, reviews, speed
from benchmarks.reviews import Options

KEYS = {"name", "peer", "ratio", "target", "met", "spread"}


def test_the_ratio_is_the_median_of_the_pairs() -> None:
    # The middle pair met a slow minute: both took three times as long.
    row = harness.versus("x", "peer", [1, 3, 1], [4, 12, 5], 4.0)
    assert (row.ratio, row.met) == (4.0, True)
    assert row.spread == pytest.approx((5 - 4) / 4)
    assert (row.ours, row.theirs) == (1, 5)
    assert row.as_json().keys() >= KEYS


@pytest.mark.parametrize(("target", "met"), [(None, True), (4.0, True), (4.1, False)])
def test_a_target_is_a_lower_bound_of_a_ratio(target: float | None, met: bool) -> None:
    assert harness.versus("x", "peer", [1], [4], target).met == met


@pytest.mark.parametrize(("values", "met"), [([7, 8, 9], True), ([8, 8.1, 9], False)])
def test_a_target_is_an_upper_bound_of_a_figure(values: list[float], met: bool) -> None:
    assert harness.figure("x", "s", values, 8.0).met == met


def test_contenders_take_turns() -> None:
    order: list[str] = []

    def contender(name: str) -> harness.Contender:
        def answer(request: dict[str, Any]) -> dict[str, Any]:
            order.append(name)
            return {"seconds": request["seconds"]}

        return answer

    found = harness.alternate([contender("a"), contender("b")], {"seconds": 2}, 3)
    assert order == ["a", "b"] * 3
    assert [harness.seconds(answers) for answers in found] == [[2, 2, 2]] * 2


def test_a_process_is_asked_and_what_it_prints_is_no_answer() -> None:
    code = (
        "from benchmarks import harness\n"
        "def make(settings):\n"
        "    print('loading')\n"
        "    return lambda request: {'sum': settings['one'] + request['two']}\n"
        "harness.serve(make)"
    )
    with harness.Process({"one": 1}, "-c", code) as process:
        assert [process({"two": n})["sum"] for n in (2, 5)] == [3, 6]


def test_a_process_that_fails_is_quoted() -> None:
    code = "raise SystemExit('no such weights')"
    with pytest.raises(RuntimeError, match="no such weights"):
        harness.Process({}, "-c", code)


def test_a_row_takes_the_place_of_its_earlier_self() -> None:
    rows: list[dict[str, object]] = [
        {"name": "a", "peer": "p", "ratio": 1}, {"name": "a", "peer": "q", "ratio": 2},
    ]  # fmt: skip
    assert speed.merged(rows, {"name": "a", "peer": "p", "ratio": 3}) == [
        {"name": "a", "peer": "p", "ratio": 3}, {"name": "a", "peer": "q", "ratio": 2},
    ]  # fmt: skip
    assert [row["ratio"] for row in speed.merged(rows, {"name": "b", "peer": "p", "ratio": 4})] == [
        1, 2, 4,
    ]  # fmt: skip


def test_a_miss_says_by_how_much() -> None:
    slow = harness.versus("training", "peer", [1.0], [3.0], 4.0).as_json()
    assert "3.00 ×" in performance.line(slow)
    assert "no, by 25%" in performance.line(slow)
    late = harness.figure("the flow", "s", [45.0], 30.0).as_json()
    assert "45 s" in performance.line(late)
    assert "≤ 30 | no, by 50%" in performance.line(late)


def test_the_page_keeps_what_people_wrote_and_names_no_place() -> None:
    rows = [harness.versus("training", "peer", [1.0], [3.0], 2.0, note="64 rows").as_json()]
    page = performance.page(rows, performance.machine(), drawn=True, why="\nIt is memory.\n")
    assert page.endswith("## Why\n\nIt is memory.\n")
    assert "training, peer: 64 rows" in page
    assert "cores of" in page
    assert str(harness.ROOT) not in page


def test_the_rows_that_have_sizes_are_drawn(tmp_path: Path) -> None:
    row = harness.figure("memory", "GiB", [1.0], 2.0, sizes=[(10, 0.1), (100, 1.0)]).as_json()
    assert performance.draw([row], tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 1000
    plain = harness.figure("memory", "GiB", [1.0], 2.0).as_json()
    assert not performance.draw([plain], tmp_path / "none.png")


def test_a_folder_without_the_workbook_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"train\.xlsx"):
        reviews.find_imdb(tmp_path)


def test_rows_are_drawn_the_same_each_time(tmp_path: Path) -> None:
    pd.DataFrame({"Reviews": [f"text {n}" for n in range(50)], "Sentiment": ["pos", "neg"] * 25}) \
        .to_excel(tmp_path / "train.xlsx", index=False)  # fmt: skip
    for scratch in ("one", "two"):
        (tmp_path / scratch).mkdir()
    one, two = (
        json.loads(reviews.sample(Options(tmp_path, tmp_path / scratch), 10).read_text())
        for scratch in ("one", "two")
    )
    assert one == two
    assert len(one["texts"]) == 10
    assert set(one["labels"]) <= {0, 1}
