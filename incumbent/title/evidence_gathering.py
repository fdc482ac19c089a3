"""Gather the evidence on a challenger: both models answer the same texts."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from incumbent.behaviour import behaviour_tests
from incumbent.config import Config
from incumbent.data import datasets, label_spellings, leaked_test_rows
from incumbent.data.datasets import Dataset
from incumbent.data.label_arrays import truth_of
from incumbent.decision import error_budget, evidence, shared_luck
from incumbent.decision.evidence import Case, Contender, Evidence, Reign, Role, Tally
from incumbent.errors import RegistryError, StageError
from incumbent.evaluation import slices
from incumbent.evaluation.challenger_assessment import Assessment
from incumbent.scoring import model_client
from incumbent.scoring.model_client import Answers
from incumbent.tables.table_reader import SLICE
from incumbent.title import evidence_storage
from incumbent.title.ledger import Entry
from incumbent.tracking.mlflow_runs import Runs
from incumbent.tracking.registry_reads import Version
from incumbent.tracking.registry_writes import Registry

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Challenge:
    """A challenger as it stands after its registration.

    `seed_accuracies` are those of repeats with other seeds, its own first.
    """

    version: Version
    assessment: Assessment
    dataset: Dataset
    config: Config
    seed_accuracies: tuple[float, ...] = ()

    @property
    def workdir(self) -> Path:
        """Where answers and fingerprints are cached."""
        return Path(self.config.tracking.workdir)


def gather(
    registry: Registry,
    challenge: Challenge,
    champion: Version | None,
    reign: Reign,
    contests: Sequence[Entry],
    *,
    fresh: bool = False,
) -> Evidence:
    """Put the case of a challenger together.

    The challenger's predictions on the test rows are those of its evaluation; the registered
    version must give the same. The champion's are its own, from the registry.

    Args:
        registry: Where both models are.
        challenge: The challenger, and the rules.
        champion: The holder of the title.
        reign: The reign as it was before.
        contests: The earlier contests against this champion in this reign.
        fresh: Ask the challenger again, whatever it answered earlier.

    Raises:
        RegistryError: if the champion does not answer.
        StageError: if a model was killed while it answered.
    """
    config, workdir = challenge.config, challenge.workdir
    runs = Runs(config.tracking)
    asked = _Questions.of(challenge)
    ours, fault = asked.of_challenger(registry, challenge, fresh=fresh)
    theirs = asked.of_champion(registry, champion, workdir) if champion else None
    training: dict[Role, leaked_test_rows.Fingerprints] = {}
    if challenge.dataset.train_known:
        known = evidence_storage.registered_fingerprints(runs, challenge.version, workdir)
        training[Role.CHALLENGER] = known or evidence_storage.fingerprints(
            challenge.dataset.train, workdir
        )
    if champion and (known := evidence_storage.registered_fingerprints(runs, champion, workdir)):
        training[Role.CHAMPION] = known
    classes = _classes(asked.measured, theirs)
    baseline = challenge.assessment.baseline
    made = Case(
        model_name=challenge.version.name,
        classes=classes,
        challenger=_contender(
            challenge.version, ours, asked.tally(ours), Role.CHALLENGER in training
        ),
        champion=_contender(champion, theirs, asked.tally(theirs), Role.CHAMPION in training)
        if champion
        else None,
        baseline_accuracy=baseline.accuracy.value if baseline else None,
        reign=reign,
        seed_accuracies=challenge.seed_accuracies,
        round_trip=fault,
        promotion=config.promotion,
        evaluation=config.evaluation,
    )
    test, dataset = asked.test, challenge.dataset
    found = evidence.assemble(
        made,
        rows=test["row"].to_numpy(),
        truth=truth_of(test["label"], classes, multilabel=dataset.multilabel),
        challenger=asked.measured.reindex(columns=list(classes), fill_value=0.0).to_numpy(),
        champion=_probabilities(theirs, classes, len(test)) if theirs else None,
        seen=_seen(training, evidence_storage.fingerprints(dataset.test, workdir), config),
        slices=slices.members(
            test, config.evaluation.slices, workdir / "languages", dataset.label_names
        ),
        groups=groups_of(test, config.data.group_column),
    )
    if champion is None:
        return found
    loading = error_budget.loading_of(_correlations(found, contests, runs, workdir))
    return Evidence(made.model_copy(update={"loading": loading}), found.rows)


@dataclass(frozen=True)
class _Questions:
    """What both models are asked: the test rows, and the texts of the behaviour tests."""

    test: pd.DataFrame
    measured: pd.DataFrame
    """The challenger's probabilities on the test rows, as they were evaluated."""
    behaviour: pd.DataFrame
    texts: list[str]
    confidence: float

    @classmethod
    def of(cls, challenge: Challenge) -> _Questions:
        rules = challenge.config.evaluation
        test = datasets.load(challenge.dataset.test)
        measured = pd.read_parquet(challenge.assessment.probabilities)
        cases = behaviour_tests.cases(
            behaviour_tests.load(rules.behaviour), test["text"].tolist(), list(measured.columns),
            rules.seed, sets=challenge.dataset.multilabel,
        )  # fmt: skip
        return cls(test, measured, cases, behaviour_tests.questions(cases), rules.confidence)

    def of_challenger(
        self, registry: Registry, challenge: Challenge, *, fresh: bool
    ) -> tuple[Answers | None, str]:
        """The registered challenger's answers, and in what they differ from what was measured."""
        texts = [*self.test["text"], *self.texts]
        for last in (False, True):  # once more, as a store may falter, and a rejection is final
            try:
                answers = model_client.score(
                    registry,
                    challenge.version,
                    texts,
                    challenge.workdir,
                    fresh=fresh,
                    timed=len(self.texts),
                )
                break
            except RegistryError as error:
                if last:
                    return None, str(error)
        measured = self.measured.add_prefix("probability_")
        served = answers.frame.head(len(measured))
        return answers, evidence_storage.differs(challenge.version, served, measured)

    def of_champion(self, registry: Registry, champion: Version, workdir: Path) -> Answers:
        texts = [*self.test["text"], *self.texts]
        answers = model_client.score(registry, champion, texts, workdir, timed=len(self.texts))
        if answers.earlier and self.texts:  # the machine was another then, or had other work
            timed = len(self.texts)
            now = model_client.score(
                registry, champion, self.texts, workdir, fresh=True, timed=timed
            )
            answers = answers._replace(seconds_per_row=now.seconds_per_row)
        return _spelled(answers, list(self.measured.columns))

    def tally(self, answers: Answers | None) -> dict[str, Tally]:
        """How often a model failed each behaviour test; its answers to these are the last."""
        if answers is None or not self.texts:
            return {}
        labels = answers.frame["label"].tail(len(self.texts)).astype(str)
        verdicts = behaviour_tests.judge(
            self.behaviour, dict(zip(self.texts, labels, strict=True)), self.confidence
        )
        return {k: Tally(cases=v.cases, failures=v.failures) for k, v in verdicts.items()}


def _spelled(answers: Answers, classes: Sequence[str]) -> Answers:
    """Answers with the labels spelled as the challenger's are: the data may spell them otherwise.

    In sets of labels those of more than one are left: behaviour tests name single ones.
    """
    lead = "probability_"
    frame = answers.frame
    theirs = [str(name).removeprefix(lead) for name in frame.columns[1:]]
    other = label_spellings.respelled(theirs, classes)
    other = {label: name for label, name in other.items() if name not in theirs}
    if not other:
        return answers
    columns = {f"{lead}{label}": f"{lead}{name}" for label, name in other.items()}
    label = frame["label"].map(lambda said: other.get(said, said))
    thresholds = {other.get(name, name): value for name, value in answers.thresholds.items()}
    return answers._replace(
        frame=frame.rename(columns=columns).assign(label=label), thresholds=thresholds
    )


def groups_of(test: pd.DataFrame, column: str) -> NDArray[np.int64] | None:
    """The number of each test row's group (n,), by the order in which they come; None without.

    A row whose group is missing is one by itself.

    Raises:
        StageError: if the rows were written without the column.
    """
    if not column:
        return None
    if f"{SLICE}{column}" not in test:
        raise StageError(
            f"The canonical test data was written without the column {column!r} that "
            "data.group_column names. Run again with the same config: it is read anew."
        )
    names = test[f"{SLICE}{column}"].astype(str)
    own = pd.Series(np.arange(len(test)), test.index).map("row {}".format)
    return pd.factorize(("group " + names).where(names != "", own))[0].astype(np.int64)


def _contender(
    version: Version, answers: Answers | None, tallies: dict[str, Tally], known: bool = True
) -> Contender:
    return Contender(
        version=version.version,
        run_id=version.run_id,
        train_digest=version.tags.get("incumbent.train_digest", ""),
        seconds_per_row=answers.seconds_per_row if answers else None,
        megabytes=answers.megabytes if answers else None,
        behaviour=tallies,
        fingerprints=known,
        thresholds=answers.thresholds if answers else {},
    )


def _classes(measured: pd.DataFrame, theirs: Answers | None) -> tuple[str, ...]:
    """The challenger's classes, then those that only the champion knows."""
    names = [str(name) for name in measured.columns]
    for column in theirs.frame.columns[1:] if theirs else ():
        if (name := str(column).removeprefix("probability_")) not in names:
            names.append(name)
    return tuple(names)


def _probabilities(answers: Answers, classes: Sequence[str], rows: int) -> FloatArray:
    """A model's answers to the test rows (rows, n_classes); 0 for classes it does not know."""
    frame = answers.frame.head(rows)
    columns = [f"probability_{name}" for name in classes]
    return frame.reindex(columns=columns, fill_value=0.0).to_numpy(dtype=np.float64)


def _seen(
    training: Mapping[Role, leaked_test_rows.Fingerprints],
    test: leaked_test_rows.Fingerprints,
    config: Config,
) -> NDArray[np.str_]:
    """Whose training rows hold each test row (n,), or one much like it, as far as is known."""
    limit = config.promotion.near_duplicate
    by = {
        role: leaked_test_rows.leaked(test, train, limit).found for role, train in training.items()
    }
    none = np.zeros(len(test), bool)
    ours, theirs = by.get(Role.CHALLENGER, none), by.get(Role.CHAMPION, none)
    return np.select([ours & theirs, ours, theirs], ["both", Role.CHALLENGER, Role.CHAMPION], "")


def _correlations(
    evidence: Evidence, contests: Sequence[Entry], runs: Runs, workdir: Path
) -> list[tuple[error_budget.PastContest, float]]:
    """How the mean improvement correlates with those of earlier contests.

    A contest whose evidence is gone counts as not correlated, which costs the most.
    """
    ours = shared_luck.improvement(evidence)
    found = []
    for entry in contests:
        if entry.allowance is None or entry.evidence_run_id is None:
            continue
        rho = 0.0
        with contextlib.suppress(RegistryError):
            place = evidence_storage.kept_in(workdir, entry.evidence_run_id)
            then = evidence_storage.replay(
                runs, entry.evidence_run_id, place, entry.evidence_folder
            )
            rho = shared_luck.correlation(ours, shared_luck.improvement(then))
        contest = error_budget.PastContest(
            champion=entry.previous_champion or 0, critical=entry.allowance.critical,
            loading=entry.allowance.loading, passed=False,
        )  # fmt: skip
        found.append((contest, rho))
    return found
