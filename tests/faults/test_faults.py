"""The quick set of the faults; `make faults` tries all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults import corpus, table
from tests.faults import ground as grounds
from tests.faults.__main__ import FAULTS
from tests.faults.ground import Ground, Trial

pytestmark = pytest.mark.slow

QUICK = ("killed in a stage", "two runs at once", "full disk", "malformed files")


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory, warmed: None) -> Iterator[Ground]:
    with grounds.opened(tmp_path_factory.mktemp("faults")) as opened:
        yield opened


@pytest.mark.parametrize("name", QUICK)
def test_fault(name: str, ground: Ground) -> None:
    trials = list(FAULTS[name](ground, True))
    if not trials:
        pytest.skip(f"{name}: this needs root and mount")
    assert {trial.what: trial.faults for trial in trials if not trial.survived} == {}
    assert table.holds([table.row(name, trials)])


def test_what_the_table_does_not_pass() -> None:
    good = Trial("a fault")
    assert table.holds([table.row("fault", [good])])
    assert not table.holds([table.row("fault", [])])
    for spoilt in (
        Trial("", ["a reason"]), Trial("", champion_intact=False), Trial("", lost=1),
        Trial("", doubled=1), Trial("", hung=True), Trial("", tracebacks=1),
    ):  # fmt: skip
        assert not table.holds([table.row("fault", [good, spoilt])])


def test_the_corpus_is_the_same_each_time() -> None:
    files = dict(corpus.files(0, 2))
    assert len(files) >= 150
    assert files == dict(corpus.files(0, 2))
