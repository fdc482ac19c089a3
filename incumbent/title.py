"""The contest for the title: a registered challenger against whoever is champion now."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from incumbent import assessment, datasets, environment, promotion, scoring
from incumbent.assessment import Assessment
from incumbent.config import PromotionConfig
from incumbent.datasets import Dataset
from incumbent.errors import RegistryError
from incumbent.registry import CHAMPION, Registry, Version

_VERIFIED = 32  # test rows that the registered model must answer as it was measured
# Batches of other lengths round otherwise; seen: below 1e-6.
_TOLERANCE = 1e-4


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
    while True:
        champion = registry.by_alias(challenger.name, CHAMPION)
        if champion is None or champion.version == challenger.version:
            ruling = promotion.rule_first(
                evidence.evidence, evidence.baseline.accuracy.value, config
            )
        else:
            ruling = _challenge(registry, champion, evidence, dataset, config, workdir)
        if ruling.decision == "promoted":
            _verify(registry, challenger, evidence, dataset, workdir)
        if registry.by_alias(challenger.name, CHAMPION) == champion:
            break  # else another run was quicker: the challenger meets the new champion
    previous = champion.version if champion else None
    registry.record(challenger, _record(challenger, previous, ruling, evidence, dataset, about))
    if ruling.decision == "promoted":
        registry.set_alias(challenger, CHAMPION)
        champion = challenger
    registry.settle(challenger)
    return ruling, champion


def _verify(
    registry: Registry, challenger: Version, evidence: Assessment, dataset: Dataset, workdir: Path
) -> None:
    """See that what consumers would load answers as what was measured did.

    Raises:
        RegistryError: if it does not load, or answers otherwise.
    """
    measured = pd.read_parquet(evidence.probabilities).head(_VERIFIED)
    texts = datasets.load(dataset.test)["text"].head(_VERIFIED).tolist()
    served = scoring.score(registry, challenger, texts, workdir / "scores")
    difference = max(
        float((served[f"probability_{name}"] - measured[name]).abs().max()) for name in measured
    )
    if not difference <= _TOLERANCE:
        raise RegistryError(
            f"Version {challenger.version} of {challenger.name}, loaded from the registry, gives "
            f"probabilities that differ by {difference:.2g} from those measured; at most "
            f"{_TOLERANCE:g} was expected. It does not take the title."
        )


def _challenge(
    registry: Registry,
    champion: Version,
    evidence: Assessment,
    dataset: Dataset,
    config: PromotionConfig,
    workdir: Path,
) -> promotion.Ruling:
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
        "who": environment.user(),
        "previous_champion": previous,
        "champion": challenger.version if ruling.decision == "promoted" else previous,
        "gates": [gate.model_dump() for gate in ruling.gates],
        "difference": ruling.difference.model_dump() if ruling.difference else None,
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

    A run that died between writing `promoted` and moving the alias is completed here; a decision
    that was settled stands as it is, whatever happened to the alias since.
    """
    version = registry.find(model_name, run_digest)
    record = version.record() if version else None
    if version is None or record is None:
        return None
    champion = registry.by_alias(model_name, CHAMPION)
    if not registry.is_settled(version):
        holder = champion.version if champion else None
        if record["decision"] == "promoted" and holder == record["previous_champion"]:
            registry.set_alias(version, CHAMPION)
            champion = version
        registry.settle(version)
    return version, champion
