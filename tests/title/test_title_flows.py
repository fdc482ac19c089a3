"""The flows that are buttons in the Prefect UI: they move the title, or say why not."""

from __future__ import annotations

import pytest

from incumbent.errors import ConfigError
from tests.title.arena import NAME, Arena

pytestmark = pytest.mark.slow


def test_the_rollback_flow_gives_the_title_back(two: Arena, prefect_server: None) -> None:
    from flows.rollback import rollback

    assert rollback(NAME, "wrong answers", to=1) == 1
    assert two.champion() == 1
    last = two.ledger.entries()[-1]
    assert (last.decision, last.reason) == ("rolled back", "wrong answers")


def test_the_approve_flow_says_who_does_not_wait(two: Arena, prefect_server: None) -> None:
    from flows.approve import approve

    with pytest.raises(ConfigError, match="Version 1 of 'reviews' does not wait for approval"):
        approve(NAME, 1)
    assert two.champion() == 2
