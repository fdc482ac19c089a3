"""The Prefect events that incumbent emits; notices are sent on them.

Events go to the server that PREFECT_API_URL names, of commands else to that of `incumbent up`.
Without one nobody listens: the server that a run starts for itself has no automations.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from incumbent.errors import IncumbentError
from incumbent.servers.prefect_api_client import PrefectApi

if TYPE_CHECKING:
    from incumbent.title.ledger import Entry

PROMOTED = "incumbent.promoted"
ROLLED_BACK = "incumbent.rolled-back"
WAITING = "incumbent.waiting"
REFUSED = "incumbent.data-refused"
FAILED = "incumbent.failed"
CHAMPION_OLD = "incumbent.champion-old"
WRONG = "incumbent.wrong"

_DECISIONS = {
    "promoted": PROMOTED, "approved": PROMOTED, "rolled back": ROLLED_BACK, "waiting": WAITING,
}  # fmt: skip
_LONGEST = 1500  # characters of a text: what a phone shows, and every service takes
# Signs that chat services and templates take for links, mentions or code, and what looks like them.
_HARMLESS = str.maketrans({"<": "‹", ">": "›", "@": "＠", "{": "(", "}": ")", "`": "'", "|": "¦"})


def plain(text: object) -> str:
    """A text for a notice: short, and without what any service would make more of than a text."""
    said = re.sub(r"[^\S\n]+", " ", str(text).translate(_HARMLESS)).strip()
    said = "".join(c for c in said if c.isprintable() or c == "\n").replace("](", "] (")
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST]} ..."


def emit(
    event: str, model_name: str, subject: str, text: str, flow_run_id: str = "",
    say: Callable[[str], None] = lambda _: None, address: str | None = None,
    **more: str | int | None,
) -> bool:  # fmt: skip
    """Tell the Prefect server what happened; that it cannot be told stops nobody.

    Args:
        event: Its name: see the constants.
        model_name: The registered model that it is about; of a flow about none, its name.
        subject: In a few words.
        text: What happened and what to do; made harmless here.
        flow_run_id: The Prefect run that it happened in.
        say: Is told if the server could not be.
        address: Of the server's API; without one, that of PREFECT_API_URL.
        more: What else programs may want to know.

    Returns:
        Whether a server took it.
    """
    address = address or os.environ.get("PREFECT_API_URL")
    if not address:
        return False
    page = f"{address.removesuffix('/api')}/runs/flow-run/{flow_run_id}" if flow_run_id else ""
    run = {"prefect.resource.id": f"prefect.flow-run.{flow_run_id}",
           "prefect.resource.role": "flow-run"}  # fmt: skip
    try:
        PrefectApi(address).emit(
            {
                "id": str(uuid4()),
                "event": event,
                "occurred": datetime.now(UTC).isoformat(),
                "resource": {
                    "prefect.resource.id": f"incumbent.model.{model_name}",
                    "prefect.resource.name": model_name,
                },
                "related": [run] if flow_run_id else [],
                "payload": {
                    "model_name": model_name, "subject": plain(subject), "text": plain(text),
                    "page": page, **more,
                },
            }
        )  # fmt: skip
    except IncumbentError as error:
        say(f"{event} could not be told: {error}")
        return False
    return True


def decided(
    entry: Entry, model_name: str, flow_run_id: str = "",
    say: Callable[[str], None] = lambda _: None, address: str | None = None, set_aside: int = 0,
) -> bool:  # fmt: skip
    """Tell of a decision, if anybody would want to know: the title moved, or waits to.

    `set_aside` rows of the training data were left out, as they are wrong.
    """
    event = _DECISIONS.get(entry.decision)
    if event is None:
        return False
    rows = f"{set_aside:,} {'row was' if set_aside == 1 else 'rows were'}"
    aside = f" {rows} set aside from its training data." if set_aside else ""
    before = f"version {entry.previous_champion}" if entry.previous_champion else "nobody"
    return emit(
        event, model_name, f"{model_name} version {entry.version} {entry.decision}",
        f"The champion was {before}. By {entry.who}. {entry.reason}{aside}",
        flow_run_id, say, address,
        version=entry.version, champion=entry.champion, previous_champion=entry.previous_champion,
        rows_set_aside=set_aside,
    )  # fmt: skip
