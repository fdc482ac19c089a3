"""The contest for the title: a registered challenger against whoever is champion now."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from incumbent import assessment, datasets, promotion, scoring
from incumbent.assessment import Assessment
from incumbent.config import PromotionConfig
from incumbent.datasets import Dataset
from incumbent.registry import CHAMPION, Registry, Version


def contest(
    registry: Registry,
    challenger: Version,
    evidence: Assessment,
    dataset: Dataset,
    config: PromotionConfig,
    workdir: Path,
    about: Mapping[str, str],
) -> tuple[promotion.Ruling, Version | None]:
    """Decide whether the challenger takes the title, move the alias if so, and record it.

    The champion is scored on the same test rows, by its own saved preprocessing. The record is
    written before the alias moves, and both can be repeated.

    Args:
        registry: Where both models are.
        challenger: The version that asks for the title.
        evidence: The challenger's on the test rows.
        dataset: Whose test rows both are scored on.
        config: The rule.
        workdir: Where scores are cached.
        about: What else to record (run ids).

    Returns:
        The ruling, and the champion after it.
    """
    champion = registry.by_alias(challenger.name, CHAMPION)
    if champion is None or champion.version == challenger.version:
        ruling = promotion.rule_first(evidence.evidence, evidence.baseline.accuracy.value, config)
    else:
        ruling = _challenge(registry, champion, evidence, dataset, config, workdir)
    previous = champion.version if champion else None
    record = _record(challenger, previous, ruling, evidence, dataset, about)
    registry.record(challenger, record)
    if ruling.decision == "promoted":
        registry.set_alias(challenger, CHAMPION)
        champion = challenger
    return ruling, champion


def _challenge(
    registry: Registry,
    champion: Version,
    evidence: Assessment,
    dataset: Dataset,
    config: PromotionConfig,
    workdir: Path,
) -> promotion.Ruling:
    import pandas as pd

    test = datasets.load(dataset.test)
    labels = test["label"].to_numpy()
    theirs = scoring.score(registry, champion, test["text"].tolist(), workdir / "scores")
    ours = pd.read_parquet(evidence.probabilities)
    classes = tuple(ours.columns)
    truth = assessment.class_indices(test["label"], classes)
    return promotion.rule_challenge(
        ours.to_numpy().argmax(axis=1) == truth, theirs["label"].to_numpy() == labels, config
    )


def _record(
    challenger: Version,
    previous: int | None,
    ruling: promotion.Ruling,
    evidence: Assessment,
    dataset: Dataset,
    about: Mapping[str, str],
) -> dict[str, Any]:
    return {
        "version": challenger.version,
        "decision": ruling.decision,
        "reason": ruling.reason,
        "rule": ruling.rule,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "who": getpass.getuser(),
        "previous_champion": previous,
        "champion": challenger.version if ruling.decision == "promoted" else previous,
        "gates": [gate.model_dump() for gate in ruling.gates],
        "accuracy": evidence.evidence.accuracy.model_dump(),
        "baseline_accuracy": evidence.baseline.accuracy.value,
        "test_digest": dataset.test.digest,
        "train_digest": dataset.train.digest,
        **about,
    }


def earlier(
    registry: Registry, model_name: str, run_digest: str
) -> tuple[Version, Version | None] | None:
    """The version that the same run made and its decision, if both are there; and the champion.

    A run that died between writing `promoted` and moving the alias is completed here.
    """
    version = registry.find(model_name, run_digest)
    record = version.record() if version else None
    if version is None or record is None:
        return None
    champion = registry.by_alias(model_name, CHAMPION)
    holder = champion.version if champion else None
    if record["decision"] == "promoted" and holder == record["previous_champion"]:
        registry.set_alias(version, CHAMPION)
        champion = version
    return version, champion
