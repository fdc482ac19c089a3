"""MLflow's server, with addresses of artifacts that clients on other machines can follow.

What was logged without a server lies in a folder, and the store has its place as `file:///...`. The
server names such places to its clients as its own (`mlflow-artifacts:/...`), so that artifacts go
through it; in the store they stay as they are, for who works beside the server without it.

MLflow finds these by the entry points of pyproject.toml: `mlflow server --app-name incumbent`, or
`incumbent-login` for `basic-auth`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_DESTINATION = "_MLFLOW_SERVER_ARTIFACT_DESTINATION"  # where the server keeps artifacts
_JSON = "application/json"


def app() -> Any:
    """The server's application."""
    from mlflow.server import app as flask
    from mlflow.server import fastapi_app

    _tell_places(flask)
    return fastapi_app.app


def app_with_login() -> Any:
    """The same, of which every request asks for a login."""
    from mlflow.server import app as flask
    from mlflow.server import auth

    _tell_places(flask)
    return auth.create_app(flask)


def through_server(folder: str) -> Callable[[bytes], bytes]:
    """What has a JSON document name places below a folder as the server's own."""
    place = re.escape(Path(folder.removeprefix("file://")).absolute().as_uri().encode())
    named = re.compile(rb'("(?:artifact_uri|artifact_location)"\s*:\s*")' + place + rb'(?=[/"])/*')
    return lambda document: named.sub(rb"\1mlflow-artifacts:/", document)


def _tell_places(flask: Any) -> None:
    folder = os.environ.get(_DESTINATION, "")
    if not folder or ("://" in folder and not folder.startswith("file://")):
        return
    told = through_server(folder)

    def tell(response: Any) -> Any:
        if response.mimetype == _JSON and not response.is_streamed:
            response.set_data(told(response.get_data()))
        return response

    flask.after_request(tell)
