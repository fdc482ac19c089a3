"""Measure a trained model on the test set, beside the baseline on the same rows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from incumbent import __version__
from incumbent.config import EvaluationConfig
from incumbent.data import datasets
from incumbent.data.datasets import Dataset
from incumbent.data.label_arrays import truth_of
from incumbent.evaluation import evaluation_summary, plots
from incumbent.evaluation.scored_predictions import Scored
from incumbent.predictor import Predictor, folder_digest
from incumbent.runtime.atomic_files import write_atomically


class Assessment(BaseModel):
    """How good a model is, and the folder with the files that go with it.

    `predictor_digest` says which predictor was measured.
    """

    model_config = ConfigDict(frozen=True)

    predictor_digest: str
    measured: evaluation_summary.Evaluation = Field(
        validation_alias=AliasChoices("measured", "evidence")
    )
    """Of the model; `evidence` in files of release 0.1.0."""
    baseline: evaluation_summary.Evaluation | None
    """None where no training rows are known, on which one could be trained."""
    folder: Path

    @property
    def probabilities(self) -> Path:
        """A Parquet file, one row a test row, one column a class."""
        return self.folder / "probabilities.parquet"

    @property
    def top_losses(self) -> Path:
        """A Parquet file of the reviews it got most wrong."""
        return self.folder / "top_losses.parquet"

    @property
    def plots(self) -> dict[str, Path]:
        """PNG files by what they show."""
        return {path.stem: path for path in sorted((self.folder / "plots").glob("*.png"))}

    def metrics(self) -> dict[str, float]:
        """Flat numbers: the model's, and the baseline's headline ones as `baseline_*`."""
        if self.baseline is None:
            return self.measured.metrics()
        gain = self.measured.accuracy.value - self.baseline.accuracy.value
        return {
            **self.measured.metrics(),
            "baseline_accuracy": self.baseline.accuracy.value,
            "baseline_macro_f1": self.baseline.macro_f1.value,
            "gain_over_baseline": gain,
        }


def assess(
    predictor: Path,
    dataset: Dataset,
    config: EvaluationConfig,
    folder: Path,
    cache: Path,
    on_rows: Callable[[int], None],
) -> Assessment:
    """Score the test rows with a served model, and with an NBSVM trained on the same rows.

    Where these are not known, there is no NBSVM.

    Args:
        predictor: The folder of the served model.
        dataset: Train for the baseline, test for both.
        config: Intervals, bins and how many losses to list.
        folder: Where plots and tables go.
        cache: Where the evaluations of baselines are kept, by dataset.
        on_rows: Told how many test rows are done.
    """
    digest = folder_digest(predictor)
    manifest = folder / "assessment.json"
    if manifest.is_file():
        found = Assessment.model_validate_json(manifest.read_text(encoding="utf-8"))
        if found.predictor_digest == digest:
            return found.model_copy(update={"folder": folder})
    test = datasets.load(dataset.test)
    model = Predictor().load(predictor)
    probabilities = model.probabilities(test["text"].tolist(), on_rows)
    truth = truth_of(test["label"], model.classes, multilabel=dataset.multilabel)
    assessment = Assessment(
        predictor_digest=digest,
        measured=evaluation_summary.evaluate(
            truth, probabilities, model.classes, config, model.thresholds
        ),
        baseline=_baseline(dataset, test, config, cache) if dataset.train_known else None,
        folder=folder,
    )
    plots.draw(
        truth, probabilities, model.classes, folder / "plots", config.calibration_bins,
        model.thresholds,
    )  # fmt: skip
    pd.DataFrame(probabilities, columns=list(model.classes)).to_parquet(assessment.probabilities)
    evaluation_summary.top_losses(
        truth, probabilities, test["text"].tolist(), model.classes, config.top_losses,
        rows=test["row"].to_numpy(), threshold=model.thresholds,
    ).to_parquet(assessment.top_losses)  # fmt: skip
    write_atomically(manifest, assessment.model_dump_json(indent=1))
    return assessment


def accuracy(predictor: Path, dataset: Dataset, on_rows: Callable[[int], None]) -> float:
    """The test accuracy of a served model, and nothing else of it."""
    test = datasets.load(dataset.test)
    model = Predictor().load(predictor)
    probabilities = model.probabilities(test["text"].tolist(), on_rows)
    truth = truth_of(test["label"], model.classes, multilabel=dataset.multilabel)
    return float(Scored(truth, probabilities, model.thresholds).right.mean())


def _baseline(
    dataset: Dataset, test: pd.DataFrame, config: EvaluationConfig, cache: Path
) -> evaluation_summary.Evaluation:
    """The NBSVM's evaluation; computed once for a dataset and the settings of the evaluation."""
    from incumbent.evaluation.nbsvm_baseline import NBSVM

    key = hashlib.sha256(
        f"{__version__} {dataset.digest} {config.model_dump_json()}".encode()
    ).hexdigest()
    file = cache / f"{key[:32]}.json"
    if file.is_file():
        return evaluation_summary.Evaluation.model_validate_json(file.read_text(encoding="utf-8"))
    train = datasets.load(dataset.train)
    texts, labels = train["text"].tolist(), train["label"].tolist()
    baseline = NBSVM().fit(texts, labels, config.seed, dataset.label_names)
    classes = tuple(str(name) for name in baseline.classes_)
    found = evaluation_summary.evaluate(
        truth_of(test["label"], classes, multilabel=dataset.multilabel),
        baseline.predict_proba(test["text"].tolist()), classes, config,
    )  # fmt: skip
    cache.mkdir(parents=True, exist_ok=True)
    write_atomically(file, found.model_dump_json(indent=1))
    return found
