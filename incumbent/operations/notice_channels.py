"""Notices by e-mail, Slack or webhook: Prefect automations, made from deployments/notices.yaml.

Prefect's server sends them, in services of its own: whoever wrote the event need not run any more,
and a server that a run starts for itself sends nothing. Addresses are kept in Prefect's blocks,
encrypted in its database.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from incumbent.errors import ConfigError, StageError
from incumbent.operations import prefect_events
from incumbent.runtime import environment
from incumbent.runtime.server_login import AUTH
from incumbent.servers.prefect_api_client import PrefectApi

if TYPE_CHECKING:
    from prefect.automations import Automation

FILE = Path("deployments") / "notices.yaml"
_PREFIX = "incumbent: "  # of the names of automations
_MADE = "Made by `incumbent notices` from deployments/notices.yaml, which makes it anew."
_FLOWS = ["retrain", "rollback", "approve", "watch", "monitor", "score"]
EVENTS = {
    "failed": {prefect_events.FAILED},
    "crashed": {"prefect.flow-run.Crashed"},
    "data-refused": {prefect_events.REFUSED},
    "promoted": {prefect_events.PROMOTED},
    "waiting": {prefect_events.WAITING},
    "rolled-back": {prefect_events.ROLLED_BACK},
    "champion-old": {prefect_events.CHAMPION_OLD},
    "wrong": {prefect_events.WRONG},
}
"""The events that each notice tells of, by the name that it has in the file."""

_BEGINS = {
    "slack": ("https://",),
    "email": ("mailto://", "mailtos://"),
    "webhook": ("http://", "https://"),
}
_SUBJECT = "incumbent: {{ event.payload.subject }}"
_BODY = "{{ event.payload.text }}{% if event.payload.page %}\n{{ event.payload.page }}{% endif %}"
# Prefect's own event, of a process that could say nothing itself; its words are made harmless here.
_CRASH_SUBJECT = "incumbent: a run crashed"
_CRASH_BODY = (
    "The process of {{ event.resource['prefect.resource.name'] }} ended before its time: it was "
    "killed, ran out of memory, or its machine restarted. Run it again: it resumes where it was.\n"
    "{{ event.resource['prefect.resource.id'] }}"
)


class Channel(BaseModel):
    """Where notices go."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["slack", "email", "webhook"] | None = None
    variable: Annotated[str | None, Field(alias="from")] = None
    block: Annotated[str | None, Field(pattern=r"^[a-z0-9-]+/[a-z0-9-]+$")] = None

    @model_validator(mode="after")
    def _consistent(self) -> Channel:
        if bool(self.block) == bool(self.kind and self.variable):
            raise ValueError("either `block`, or both `kind` and `from` are expected")
        return self


class Notices(BaseModel):
    """What the file holds: channels by name, and the channels of each notice."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: dict[Annotated[str, Field(pattern=r"^[a-z0-9-]+$")], Channel] = {}
    notices: dict[str, tuple[str, ...]] = {}

    @model_validator(mode="after")
    def _consistent(self) -> Notices:
        for notice, channels in self.notices.items():
            if notice not in EVENTS:
                raise ValueError(f"there is no notice {notice!r}; known are {', '.join(EVENTS)}")
            for channel in channels:
                if channel not in self.channels:
                    raise ValueError(f"{notice} names the channel {channel!r}, which is not there")
        return self


def load(path: Path) -> Notices:
    """Read the file; without one, nobody is told anything.

    Raises:
        ConfigError: if it is not as expected.
    """
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        return Notices.model_validate(found)
    except FileNotFoundError:
        return Notices()
    except ValidationError as error:
        said = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'the file'}: "
            f"{problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors()
        )
        raise ConfigError(f"{path} is wrong: {said}.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None


def apply(notices: Notices, settings: Mapping[str, str]) -> dict[str, list[str]]:
    """Have the Prefect server that the settings name send these notices, and no others of ours.

    Args:
        notices: What the file holds.
        settings: The environment: PREFECT_API_URL, its credentials, and the channels' addresses.

    Returns:
        The channels that are told of each notice.

    Raises:
        ConfigError: if a channel's address is none, or its block is not there.
        StageError: if there is no such server, or it refuses.
    """
    address = settings.get("PREFECT_API_URL")
    if not address:
        raise StageError(
            "Notices are sent by a Prefect server, and PREFECT_API_URL names none: `make up` "
            "starts one and applies them."
        )
    environment.prepare()
    with environment.importing():
        import httpx
        from prefect.exceptions import PrefectException
        from prefect.settings import (
            PREFECT_API_AUTH_STRING,
            PREFECT_API_KEY,
            PREFECT_API_URL,
            temporary_settings,
        )

    client = {
        PREFECT_API_URL: address,
        PREFECT_API_AUTH_STRING: settings.get("PREFECT_API_AUTH_STRING"),
        PREFECT_API_KEY: settings.get("PREFECT_API_KEY"),
    }
    with temporary_settings({key: value for key, value in client.items() if value}):
        try:
            blocks = dict(_blocks(notices, settings))
            told = {
                notice: [c for c in notices.notices.get(notice, ()) if c in blocks]
                for notice in EVENTS
            }
            for notice, channels in told.items():
                _automate(notice, [blocks[channel] for channel in channels])
        except httpx.TransportError as error:
            raise StageError(
                f"No Prefect server answers at {address} ({error or type(error).__name__}). Start "
                "it (`make up` for that of this machine), or correct PREFECT_API_URL, and call "
                "`incumbent notices` again."
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL, PrefectException, OSError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
            raise StageError(
                f"The Prefect server at {address} did not take the notices: {reason}. If it asks "
                f"for a login, set {AUTH} to its user:password; else its log says more."
            ) from None
    return told


def _blocks(notices: Notices, settings: Mapping[str, str]) -> Iterator[tuple[str, UUID]]:
    """The notification block of each channel that has an address."""
    for name, channel in notices.channels.items():
        if channel.block:
            yield name, _known_block(name, channel.block)
        elif secret := settings.get(channel.variable or ""):
            block = _block(name, channel, secret)
            yield name, UUID(str(block.save(f"incumbent-{name}", overwrite=True)))


def _known_block(name: str, slug: str) -> UUID:
    from prefect.blocks.core import Block

    try:
        found: Any = Block.load(slug)
    except ValueError:
        raise ConfigError(
            f"The channel {name!r} names the block {slug}, which the Prefect server does not have: "
            "make it in the page (Blocks), or correct the name."
        ) from None
    return UUID(str(found._block_document_id))


def _block(name: str, channel: Channel, secret: str) -> Any:
    """A channel as a block, which checks the address.

    There is no block of Prefect's for mail by SMTP. That for Slack takes any address of Apprise's,
    and is one that every Prefect server knows; one of ours it would have to be taught.
    """
    from prefect.blocks.notifications import CustomWebhookNotificationBlock, SlackWebhook
    from pydantic import SecretStr

    if not secret.startswith(_BEGINS[str(channel.kind)]):
        raise ConfigError(
            f"{channel.variable} is no address of the kind {channel.kind} (channel {name!r}); "
            "deployments/notices.yaml says what is expected."
        )
    if channel.kind == "webhook":
        return CustomWebhookNotificationBlock.model_validate(
            {
                "name": name,
                "url": "{{address}}",
                "json_data": {"subject": "{{subject}}", "text": "{{body}}"},
                "secrets": {"address": secret},
            }
        )
    return SlackWebhook(url=SecretStr(secret))


def _automate(notice: str, blocks: list[UUID]) -> None:
    """Make, correct or delete the automation of one notice."""
    from prefect.automations import Automation, EventTrigger
    from prefect.events.actions import SendNotification

    crash = notice == "crashed"
    subject, body = (_CRASH_SUBJECT, _CRASH_BODY) if crash else (_SUBJECT, _BODY)
    wanted = Automation(
        name=f"{_PREFIX}{notice}",
        description=_MADE,
        trigger=EventTrigger(
            expect=EVENTS[notice],
            threshold=1,
            match_related=(
                {"prefect.resource.role": "flow", "prefect.resource.name": _FLOWS} if crash else {}
            ),
        ),
        actions=[SendNotification(block_document_id=b, subject=subject, body=body) for b in blocks],
    )
    found = _named(wanted.name)
    for twin in found[1:] if blocks else found:
        twin.delete()
    if not blocks:
        return
    if found:
        wanted.id, wanted.enabled = found[0].id, found[0].enabled  # paused in the page, it stays so
        wanted.update()
    else:
        wanted.create()


def _named(name: str) -> list[Automation]:
    from prefect.automations import Automation
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        return [Automation(**a.model_dump()) for a in client.read_automations_by_name(name=name)]


def configured(notices: Notices, settings: Mapping[str, str]) -> bool:
    """Whether anybody is to be told anything."""
    return any(c.block or settings.get(c.variable or "") for c in notices.channels.values())


def sent(api: PrefectApi) -> bool:
    """Whether a server sends notices of ours now, wanted or not.

    Raises:
        StageError: if it does not answer.
    """
    ours = {f"{_PREFIX}{notice}" for notice in EVENTS}
    return not ours.isdisjoint(api.automations())
