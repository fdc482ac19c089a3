"""Real models that contend for a title: small, and in an MLflow store of their own."""

from __future__ import annotations

import pickle
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from incumbent.classifiers import catalogue
from incumbent.config import Config
from incumbent.data import ingestion
from incumbent.data.datasets import Dataset
from incumbent.encoders import encoded_texts
from incumbent.evaluation import challenger_assessment
from incumbent.retraining.retraining_identity import Retraining
from incumbent.tracking.mlflow_runs import Runs
from incumbent.training import fitting
from tests import shared, warm
from tests.title.arena import NAME, Arena, Stores, Train, Trained


@pytest.fixture(scope="module", autouse=True)
def _warmed(request: pytest.FixtureRequest) -> Iterator[None]:
    """A registered model answers in a process of its own, which is forked here."""
    if request.node.get_closest_marker("slow") is None:
        yield
        return
    with warm.patched(request.getfixturevalue("helper")):
        yield


@pytest.fixture(scope="session")
def workdir(together: Path) -> Path:
    """The caches of all contests, and the models that contend, for all workers."""
    folder = together / "title"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def train(workdir: Path) -> Train:
    """Train an NBSVM with ktrain and measure it; arguments are config sections or a dataset.

    Each is trained by one worker.
    """
    made: dict[str, Trained] = {}

    def make(dataset: Dataset | None = None, **sections: Any) -> Trained:
        settings = {
            "model_name": NAME,
            "data": {"sample": 1200},
            "training": {
                "model": "nbsvm", "learning_rate": 0.01, "epochs": 2, "batch_size": 32,
            },
            "evaluation": {"bootstrap_samples": 100},
            "promotion": {"min_accuracy": 0.5, "on_baseline": "off"},
            "tracking": {"workdir": str(workdir)},
        }  # fmt: skip
        for name, values in sections.items():
            known = settings.get(name, {})
            settings[name] = {**known, **values} if isinstance(known, dict) else values
        config = Config.model_validate(settings)
        data = dataset or ingestion.ingest(config.data, workdir, config.evaluation.slices)
        retraining = Retraining.of(data, config)
        if retraining.digest not in made:

            def keep(folder: Path) -> None:
                trained = _train(config, data, retraining, workdir)
                (folder / "trained.pickle").write_bytes(pickle.dumps(trained))

            kept = shared.once(workdir / retraining.digest, keep) / "trained.pickle"
            made[retraining.digest] = pickle.loads(kept.read_bytes())  # noqa: S301  our own
        return made[retraining.digest]

    return make


def _train(config: Config, data: Dataset, retraining: Retraining, workdir: Path) -> Trained:
    classifier = catalogue.create(config.training, config.preprocessing, data.classes, workdir)
    encoded = encoded_texts.encode(
        data, classifier.tokenize, classifier.recipe, config.preprocessing.max_length, workdir
    )
    folder = retraining.folder / "predictor"
    trained = fitting.fit(
        classifier, encoded, folder, "Reviews", config.serving, lambda _: None, lambda _: None
    )
    result = challenger_assessment.assess(
        trained.served.folder,
        data,
        config.evaluation,
        retraining.folder,
        retraining.baselines,
        lambda _: None,
    )
    return Trained(config, data, retraining, trained, result)


@pytest.fixture(scope="session")
def weak(train: Train) -> Trained:
    """A poor model: it saw each training row once, at a low rate."""
    return train(training={"learning_rate": 0.0005, "epochs": 1})


@pytest.fixture(scope="session")
def good(train: Train) -> Trained:
    """A better one."""
    return train(training={"epochs": 3})


@pytest.fixture(scope="session")
def twin(train: Train) -> Trained:
    """As good as the better one, from another seed."""
    return train(training={"epochs": 3, "seed": 2})


@pytest.fixture(scope="session")
def stores(
    tmp_path_factory: pytest.TempPathFactory, together: Path, databases: Path, workdir: Path,
    helper: warm.Helper, weak: Trained, good: Trained, twin: Trained,
) -> Stores:  # fmt: skip
    def hold(folder: Path) -> None:
        live = folder / "mlflow.db"
        arena = Arena(f"sqlite:///{live}", workdir)

        def snapshot(name: str) -> None:
            shutil.copy(live, folder / f"{name}.db")

        shutil.copy(databases / "mlflow.db", live)
        with pytest.MonkeyPatch.context() as patch, warm.patched(helper):
            patch.setenv("MLFLOW_TRACKING_URI", arena.store)
            Runs(weak.config.tracking)
            snapshot("blank")
            arena.enter(weak)
            snapshot("one")
            version, run = arena.register(good)
            snapshot("challenged")
            arena.hold_contest(good, version, run)
            snapshot("two")
            arena.enter(twin)
            snapshot("three")

    made = shared.once(together / "stores", hold)
    # Of its own for each worker: tests damage files, and mend them.
    own = Path(shutil.copytree(made, tmp_path_factory.mktemp("stores") / "stores"))
    names = ("blank", "one", "challenged", "two", "three")
    stores = {name: own / f"{name}.db" for name in names}
    for store in stores.values():
        _moved(store, str(made), str(own))
    return Stores(**stores)


def _moved(store: Path, before: str, now: str) -> None:
    """Have a store know where its artifacts are now."""
    with closing(sqlite3.connect(store)) as database, database:
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
            for _, column, kind, *_ in database.execute(f"PRAGMA table_info({table})").fetchall():
                if "CHAR" in kind or kind == "TEXT":
                    database.execute(
                        f"UPDATE {table} SET {column} = replace({column}, ?, ?) "  # noqa: S608
                        f"WHERE instr({column}, ?)",
                        (before, now, before),
                    )


Open = Callable[[Path], Arena]


@pytest.fixture
def opened(tmp_path: Path, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """A copy of a store, opened; artifacts stay where they are."""

    def open_copy(store: Path) -> Arena:
        address = f"sqlite:///{shutil.copy(store, tmp_path / 'mlflow.db')}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        monkeypatch.delenv("MLFLOW_REGISTRY_URI", raising=False)
        return Arena(address, workdir)

    return open_copy


@pytest.fixture
def empty(opened: Open, stores: Stores) -> Arena:
    """A store in which nothing happened."""
    return opened(stores.blank)


@pytest.fixture
def one(opened: Open, stores: Stores) -> Arena:
    """The weak model is champion."""
    return opened(stores.one)


@pytest.fixture
def two(opened: Open, stores: Stores) -> Arena:
    """The good model took the title from the weak one."""
    return opened(stores.two)


@pytest.fixture
def three(opened: Open, stores: Stores) -> Arena:
    """The twin of the good model was kept out."""
    return opened(stores.three)
