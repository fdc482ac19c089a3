"""Measure a trained model on the frozen test set, beside the baseline on the same rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from incumbent import datasets, evaluation, plots
from incumbent.config import EvaluationConfig
from incumbent.datasets import Dataset
from incumbent.encoding import write_atomically


class Assessment(BaseModel):
    """The evidence on a model, and the files that go with it.

    `probabilities` is a Parquet file, one row a test row, one column a class; `top_losses` a
    Parquet file of the reviews it got most wrong.
    """

    model_config = ConfigDict(frozen=True)

    evidence: evaluation.Evidence
    baseline: evaluation.Evidence
    probabilities: Path
    top_losses: Path
    plots: dict[str, Path]

    def metrics(self) -> dict[str, float]:
        """Flat numbers: the model's, and the baseline's headline ones as `baseline_*`."""
        gain = self.evidence.accuracy.value - self.baseline.accuracy.value
        return {
            **self.evidence.metrics(),
            "baseline_accuracy": self.baseline.accuracy.value,
            "baseline_macro_f1": self.baseline.macro_f1.value,
            "gain_over_baseline": gain,
        }


def assess(
    predictor: Path,
    dataset: Dataset,
    config: EvaluationConfig,
    folder: Path,
    on_rows: Callable[[int], None],
) -> Assessment:
    """Score the test rows with a saved predictor, and with an NBSVM trained on the same rows.

    Args:
        predictor: The folder of the saved ktrain predictor.
        dataset: Train for the baseline, test for both.
        config: Intervals, bins and how many losses to list.
        folder: Where plots and tables go.
        on_rows: Told how many test rows are done.
    """
    manifest = folder / "assessment.json"
    if manifest.is_file():
        return Assessment.model_validate_json(manifest.read_text(encoding="utf-8"))
    from incumbent.classifiers import libraries
    from incumbent.predictor import Predictor

    libraries.load()
    test = datasets.load(dataset.test)
    model = Predictor().load(predictor)
    probabilities = model.probabilities(test["text"].tolist(), on_rows)
    truth = class_indices(test["label"], model.classes)
    evidence = evaluation.evaluate(truth, probabilities, model.classes, config)
    wrong = evaluation.top_losses(
        truth, probabilities, test["text"].tolist(), model.classes, config.top_losses,
        rows=test["row"].to_numpy(),
    )  # fmt: skip
    assessment = Assessment(
        evidence=evidence,
        baseline=_baseline(dataset, test, config, folder.parent.parent / "baselines"),
        probabilities=folder / "probabilities.parquet",
        top_losses=folder / "top_losses.parquet",
        plots=plots.draw(
            truth, probabilities, model.classes, folder / "plots", config.calibration_bins
        ),
    )
    pd.DataFrame(probabilities, columns=list(model.classes)).to_parquet(assessment.probabilities)
    wrong.to_parquet(assessment.top_losses)
    write_atomically(manifest, assessment.model_dump_json(indent=1))
    return assessment


def class_indices(labels: pd.Series[str], classes: tuple[str, ...]) -> NDArray[np.int64]:
    """Labels (n,) as indices into `classes` (n,); -1 for a label that is none of them."""
    return np.asarray(pd.Categorical(labels, categories=list(classes)).codes, dtype=np.int64)


def _baseline(
    dataset: Dataset, test: pd.DataFrame, config: EvaluationConfig, cache: Path
) -> evaluation.Evidence:
    """The NBSVM's evidence; computed once for a dataset and the settings of the evaluation."""
    import hashlib

    from incumbent.baseline import NBSVM

    key = hashlib.sha256(f"{dataset.digest} {config.model_dump_json()}".encode()).hexdigest()
    file = cache / f"{key[:32]}.json"
    if file.is_file():
        return evaluation.Evidence.model_validate_json(file.read_text(encoding="utf-8"))
    train = datasets.load(dataset.train)
    baseline = NBSVM().fit(train["text"].tolist(), train["label"].tolist(), seed=config.seed)
    classes = tuple(str(name) for name in baseline.classes_)
    evidence = evaluation.evaluate(
        class_indices(test["label"], classes), baseline.predict_proba(test["text"].tolist()),
        classes, config,
    )  # fmt: skip
    cache.mkdir(parents=True, exist_ok=True)
    write_atomically(file, evidence.model_dump_json(indent=1))
    return evidence
