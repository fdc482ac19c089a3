"""Who may ask: who has the token or the login of INCUMBENT_AUTH, or everyone without either."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.responses import JSONResponse, Response

from incumbent.errors import ConfigError
from incumbent.runtime import server_login

TOKEN = "INCUMBENT_SERVE_TOKEN"  # noqa: S105  the variable's name
"""The variable that holds the token."""
_SHORTEST = 16  # characters


@dataclass(frozen=True)
class Access:
    """What `Authorization` must be, one of these; nothing is asked for if there are none."""

    headers: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: Mapping[str, str]) -> Access:
        """What the environment asks for.

        Raises:
            ConfigError: if the token is too short or cannot be sent, or the login is none.
        """
        headers = []
        if token := settings.get(TOKEN):
            if len(token) < _SHORTEST or not token.isascii() or not token.isprintable():
                raise ConfigError(
                    f"{TOKEN} has {len(token)} characters; {_SHORTEST} at least are expected, all "
                    "of printable ASCII. `openssl rand -hex 16` makes one."
                )
            headers.append(f"Bearer {token}")
        if login := server_login.Login.of(settings):
            headers.append(server_login.basic(login.text))
        return cls(tuple(headers))

    @property
    def guarded(self) -> bool:
        """Whether anything is asked for."""
        return bool(self.headers)

    def lets_in(self, header: str | None) -> bool:
        """Whether a request with this `Authorization` is answered."""
        given = (header or "").encode("utf-8", "replace")
        found = [hmac.compare_digest(given, known.encode()) for known in self.headers]
        return not found or any(found)


def refusal() -> Response:
    """The answer to a request that is not let in."""
    return JSONResponse(
        {"error_code": "UNAUTHENTICATED", "message": "a token or a login is asked for"},
        401,
        {"www-authenticate": 'Bearer realm="incumbent", Basic realm="incumbent"'},
    )
