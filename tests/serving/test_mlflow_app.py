from __future__ import annotations

import json

import pytest

from incumbent.tracking.mlflow_app import through_server


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("file:///srv/my%20store/artifacts", "mlflow-artifacts:/"),
        ("file:///srv/my%20store/artifacts/models/m-1", "mlflow-artifacts:/models/m-1"),
        ("file:///srv/my%20store/artifacts-of-others/1", "file:///srv/my%20store/artifacts-of-others/1"),
        ("file:///elsewhere/1", "file:///elsewhere/1"),
        ("s3://bucket/1", "s3://bucket/1"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("key", ["artifact_uri", "artifact_location"])
@pytest.mark.parametrize("folder", ["/srv/my store/artifacts", "file:///srv/my store/artifacts"])
def test_places_below_the_folder_are_named_as_the_servers_own(
    folder: str, key: str, place: str, told: str
) -> None:
    document = {"run": {key: place, "tag": "file:///srv/my%20store/artifacts/1"}}
    for indent in (None, 2):
        found = through_server(folder)(json.dumps(document, indent=indent).encode())
        assert json.loads(found) == {"run": {**document["run"], key: told}}
