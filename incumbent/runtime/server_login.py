"""The login for both servers: one user and password, from INCUMBENT_AUTH.

`INCUMBENT_AUTH` is what an owner sets. What Prefect's and MLflow's clients read are variables of
their own, which are set from it, so that flows, workers and commands need nothing else.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, MutableMapping
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import Request, urlopen

from pydantic import BaseModel, ConfigDict, SecretStr

from incumbent.errors import ConfigError

AUTH = "INCUMBENT_AUTH"
"""The variable that holds `user:password`."""

_SHORTEST = 12  # characters of a password: MLflow takes none shorter
_ANSWER = 5  # seconds that a server may take to say whether it lets us in
_PREFECT, _USER, _PASSWORD = (
    "PREFECT_API_AUTH_STRING",
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
)
_MLFLOW_ADDRESSES = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")


class Login(BaseModel):
    """A user and a password, which both servers want of every client."""

    model_config = ConfigDict(frozen=True)

    user: str
    password: SecretStr

    @classmethod
    def of(cls, settings: Mapping[str, str]) -> Login | None:
        """What the environment asks for; None if it asks for no login.

        Raises:
            ConfigError: if it is no user and password, or the password is too short. The value
                is not shown.
        """
        text = settings.get(AUTH)
        if not text:
            return None
        user, colon, password = text.partition(":")
        if not (user and colon and text.isascii() and text.isprintable()):
            raise ConfigError(
                f"{AUTH} is no user and password: user:password is expected, in ASCII; the user's "
                "name holds no colon."
            )
        if len(password) < _SHORTEST:
            raise ConfigError(
                f"The password in {AUTH} has {len(password)} characters; {_SHORTEST} at least are "
                "expected. `openssl rand -hex 16` makes one."
            )
        return cls(user=user, password=SecretStr(password))

    @property
    def text(self) -> str:
        """As `user:password`: a secret."""
        return f"{self.user}:{self.password.get_secret_value()}"

    @property
    def of_clients(self) -> dict[str, str]:
        """The variables in which Prefect's and MLflow's clients look for it."""
        password = self.password.get_secret_value()
        return {_PREFECT: self.text, _USER: self.user, _PASSWORD: password}


def prepare(settings: MutableMapping[str, str]) -> None:
    """Give Prefect's and MLflow's clients their login, and take it out of addresses.

    An address is shown, logged and recorded; the variables are not. What is set there stays.

    Raises:
        ConfigError: as `Login.of` does.
    """
    for name in _MLFLOW_ADDRESSES:
        _take_out(settings, name, (_USER, _PASSWORD))
    _take_out(settings, "PREFECT_API_URL", (_PREFECT,))
    if login := Login.of(settings):
        for name, value in login.of_clients.items():
            settings.setdefault(name, value)


def _take_out(settings: MutableMapping[str, str], name: str, variables: tuple[str, ...]) -> None:
    address = settings.get(name, "")
    if not address.startswith(("http://", "https://")):
        return
    try:
        parts = urlsplit(address)
    except ValueError:  # whoever uses it says what is wrong
        return
    userinfo, at, host = parts.netloc.rpartition("@")
    if not at:
        return
    settings[name] = urlunsplit(parts._replace(netloc=host))
    user, _, password = userinfo.partition(":")
    values = [unquote(user), unquote(password)]
    if len(variables) == 1:
        values = [":".join(values)]
    for variable, value in zip(variables, values, strict=True):
        settings.setdefault(variable, value)


def basic(text: str) -> str:
    """The header `Authorization` for `user:password`."""
    return "Basic " + base64.b64encode(text.encode()).decode()


def refused(address: str, login: Login | None) -> bool:
    """Whether a server answers a request with this login by asking for another."""
    headers = {"Authorization": basic(login.text)} if login else {}
    try:
        with urlopen(Request(address, headers=headers), timeout=_ANSWER):  # noqa: S310  http only
            return False
    except HTTPError as error:
        return error.code in (401, 403)
    except (URLError, OSError, ValueError):
        return False
