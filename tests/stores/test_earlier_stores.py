"""Stores of earlier releases: the commands of today read them, contest them and roll them back.

Each folder beside this file is named by a release, and holds a store that it made. Its `README.md`
says what is in it; `answers.json` has what the commands of that release said of it.
"""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pytest

from incumbent.kernels import ktrain_import
from tests.conftest import ROOT
from tests.serve_process import Server

pytestmark = pytest.mark.slow

STORES = {file.parent.name: file.parent for file in Path(__file__).parent.glob("*/store.tar.xz")}
KNOWN = {
    release: json.loads((folder / "answers.json").read_text("utf-8"))
    for release, folder in STORES.items()
}
QUESTIONS = [
    pytest.param(release, asked["command"], asked["answer"], id=f"{release}-{index}-{name}")
    for release, known in KNOWN.items()
    for index, asked in enumerate(known["answers"])
    for name in asked["command"][:1]
]
MADE_IN = "/srv/incumbent"
# Between probabilities: another processor computes int8 otherwise. What is stored is as it was.
ROUNDING = 0.01
# Between those of ktrain's model, in float32, and of what is served, by the precision of that.
PRECISION = {"float32": 1e-4, "int8": 0.1}

Command = Callable[..., tuple[int, str, str]]
Ask = Callable[..., Any]


def as_documented(pattern: str, folder: Path, **places: str) -> None:
    """Run a command of docs/operations.md in a folder, with other places than it names."""
    documentation = (ROOT / "docs" / "operations.md").read_text("utf-8")
    (command,) = re.findall(pattern, documentation)
    command = command.replace(".venv/bin/", f"{Path(sys.executable).parent}/")
    for named, place in places.items():
        command = command.replace(f"/srv/{named}", place)
    done = subprocess.run(
        ["bash", "-euc", command], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def move(folder: Path, before: str) -> None:
    """Tell a store that its folder is another than before."""
    pattern = r"(?ms)^(\.venv/bin/python - /srv/.*?^EOF)$"
    as_documented(pattern, folder, incumbent=before, other=str(folder))


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The store of a release, brought here and up to today's MLflow; only to be read."""

    @functools.cache
    def unpack(release: str) -> Path:
        folder = tmp_path_factory.mktemp(f"store-{release}")
        with tarfile.open(STORES[release] / "store.tar.xz") as archive:
            archive.extractall(folder, filter="data")
        move(folder, MADE_IN)
        as_documented(r"(?m)^\$ (\.venv/bin/mlflow db upgrade .*)$", folder)
        return folder

    return unpack


@pytest.fixture
def ask(command: Command) -> Ask:
    """`incumbent … --json` in the present folder: the one document that it prints."""

    def answer(*arguments: str) -> Any:
        code, out, err = command(*arguments, "--json")
        assert code == 0, err
        return json.loads(out)

    return answer


def same(then: Any, now: Any, rounding: float = 0) -> bool:
    """Whether an answer is as it was; what a later release says besides does not matter."""
    if isinstance(then, dict):
        return isinstance(now, dict) and all(
            key in now and same(value, now[key], ROUNDING if key == "probabilities" else rounding)
            for key, value in then.items()
        )
    if isinstance(then, list):
        return len(then) == len(now) and all(
            same(one, other, rounding) for one, other in zip(then, now, strict=True)
        )
    if isinstance(then, float):
        return isinstance(now, float) and abs(then - now) <= rounding
    return bool(then == now)


def of_champions(known: dict[str, Any]) -> list[dict[str, Any]]:
    """What the champions were asked, and answered."""
    return [
        asked
        for asked in known["answers"]
        if asked["command"][0] == "predict" and "--alias" not in asked["command"]
    ]


def test_there_is_one() -> None:
    assert "0.1.0" in STORES


@pytest.mark.parametrize(("release", "arguments", "then"), QUESTIONS)
def test_it_answers_as_it_did(
    release: str, arguments: list[str], then: Any, unpacked: Callable[[str], Path], ask: Ask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(unpacked(release))
    now = ask(*arguments)
    assert same(then, now), now
    if arguments[0] == "explain":
        assert now["differences"] == []
        assert now["recomputed"] == now["entries"][0]["decision"]


@pytest.fixture
def copied(
    here: Path, unpacked: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], dict[str, Any]]:
    """Work in a copy of a release's store from now on; gives what is known of it."""

    def copy(release: str) -> dict[str, Any]:
        folder = here / "store"
        shutil.copytree(unpacked(release), folder)
        move(folder, str(unpacked(release)))
        monkeypatch.chdir(folder)
        return dict(KNOWN[release])

    return copy


@pytest.mark.parametrize("release", STORES)
def test_its_champion_is_contested_and_comes_back(
    release: str, copied: Callable[[str], dict[str, Any]], ask: Ask
) -> None:
    known = copied(release)
    name, about = known["model_name"], ["--model", known["model_name"]]
    before = ask("history", *about)
    champion, newest = before[-1]["champion"], max(entry["version"] for entry in before)
    challenger = ask(*known["contest"])
    assert challenger["decision"] == "promoted", challenger["reason"]
    assert challenger["model_name"] == name
    assert challenger["version"] == challenger["champion_version"] == newest + 1
    *earlier, contest = ask("history", *about)
    assert earlier == before
    assert contest["previous_champion"] == champion
    assert contest["reign"] == before[-1]["reign"]
    # What earlier contests spent of the reign's budget stays spent.
    held = [entry["allowance"]["contest"] for entry in before if entry["allowance"]]
    assert contest["allowance"]["contest"] == max(held) + 1
    assert ask("explain", str(newest + 1), *about)["recomputed"] == "promoted"
    planned = ask("plan", *known["contest"][1:])
    assert planned["measured_at"] == newest + 1
    assert planned["compared"] == contest["comparison"]["rows"]
    assert planned["contests"][0]["contest"] == contest["allowance"]["contest"] + 1

    back = ask("rollback", *about, "--reason", "to see whether it comes back")
    assert (back["decision"], back["champion"]) == ("rolled back", champion)
    for asked in of_champions(known):
        assert same(asked["answer"], ask(*asked["command"]))
    first = before[0]["champion"]
    assert ask("rollback", *about, "--to", str(first), "--reason", "further")["champion"] == first
    aliases = {version["version"]: version["aliases"] for version in ask("models", *about)}
    assert [number for number, borne in aliases.items() if "champion" in borne] == [first]
    assert ask("history", *about)[: len(before)] == before


@pytest.mark.parametrize("release", STORES)
def test_a_version_that_waits_in_it_is_approved(
    release: str, copied: Callable[[str], dict[str, Any]], ask: Ask
) -> None:
    about = ["--model", copied(release)["model_name"]]
    decided = {entry["version"]: entry["decision"] for entry in ask("history", *about)}
    (waiting,) = (version for version, decision in decided.items() if decision == "waiting")
    approved = ask("approve", str(waiting), *about)
    assert (approved["decision"], approved["champion"]) == ("approved", waiting)


@pytest.mark.parametrize("release", STORES)
def test_its_champions_are_served(release: str, unpacked: Callable[[str], Path]) -> None:
    folder = unpacked(release)
    asked = [one["answer"] for one in of_champions(KNOWN[release])]
    names = {answer["model_name"] for answer in asked}
    about = [option for name in names for option in ("--model", name)]
    server = Server(folder, f"sqlite:///{folder}/mlruns/mlflow.db", *about)
    for then in asked:
        texts = [row["text"] for row in then["predictions"]]
        path = f"/models/{then['model_name']}/invocations"
        answer = server.http.post(path, json={"inputs": [*texts, None]})
        *rows, nothing = answer.json()["predictions"]
        assert set(nothing.values()) == {None}
        assert answer.headers["x-model-version"] == str(then["version"])
        for row, known in zip(rows, then["predictions"], strict=True):
            found = {
                "label": row.pop("label"),
                "probabilities": {
                    name.removeprefix("probability_"): value for name, value in row.items()
                },
            }
            assert same({k: known[k] for k in found}, found), (row, known)
    assert server.stop() == 0


@pytest.mark.parametrize("release", STORES)
def test_its_bare_predictors_load_with_ktrain(
    release: str, unpacked: Callable[[str], Path], here: Path
) -> None:
    """As they lie among a run's artifacts, where the pretrained weights are not at hand."""
    store = f"sqlite:///{unpacked(release)}/mlruns/mlflow.db"
    client = mlflow.MlflowClient(store, store)
    ktrain_import.load()
    import ktrain

    answers = [asked["answer"] for asked in of_champions(KNOWN[release])]
    assert len(answers) > 1, "an NBSVM and a transformer"
    for answer in answers:
        version = client.get_model_version(answer["model_name"], str(answer["version"]))
        place = here / answer["model_name"]
        place.mkdir()
        folder = client.download_artifacts(str(version.run_id), "predictor", str(place))
        with ktrain_import.quiet():
            predictor = ktrain.load_predictor(folder)
            found = predictor.predict_proba([row["text"] for row in answer["predictions"]])
        precision = PRECISION[version.tags["incumbent.precision"]]
        for row, probabilities in zip(answer["predictions"], found, strict=True):
            now = dict(zip(predictor.get_classes(), map(float, probabilities), strict=True))
            assert same(row["probabilities"], now, precision), (answer["model_name"], row, now)
