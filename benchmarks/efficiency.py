"""How many rows a test on probabilities saves, between real models on the embedded or your reviews.

    python benchmarks/efficiency.py [--config FILE] [--json]

Linear models that differ in how many training rows and words they have are compared pair by pair on
the test rows. The statistic of a paired test grows with the root of the rows, so the square of the
ratio of two statistics says how many times fewer rows the stronger one needs.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from itertools import combinations, product
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from incumbent import config_file
from incumbent.config import DataConfig
from incumbent.data import datasets, ingestion
from incumbent.evaluation.calibrated_loss import calibrated_losses
from incumbent.evaluation.scored_rows import Scored

CLEAR = 0.0025  # a gap of accuracy that is more than a few rows


def models(source: DataConfig) -> list[Scored]:
    """Sixteen models' predictions on the test rows."""
    with tempfile.TemporaryDirectory() as place:
        dataset = ingestion.ingest(source, Path(place))
        splits = datasets.load(dataset.train), datasets.load(dataset.test)
    train, test = (split[split["text"] != ""] for split in splits)
    words = TfidfVectorizer(min_df=2, sublinear_tf=True)
    known, asked = words.fit_transform(train["text"]), words.transform(test["text"])
    truth = (test["label"] == dataset.classes[1]).to_numpy(dtype=np.int64)
    random = np.random.default_rng(0)
    found = []
    for rows, strength, share in product((1500, 3000, 5000, 8000), (1.0, 10.0), (1.0, 0.5)):
        chosen = random.choice(known.shape[0], rows, replace=False)
        columns = np.flatnonzero(random.random(known.shape[1]) < share)
        model = LogisticRegression(C=strength, max_iter=300)
        model.fit(known[chosen][:, columns], train["label"].iloc[chosen])
        found.append(Scored(truth, model.predict_proba(asked[:, columns])))
    return found


def compare(found: list[Scored]) -> dict[str, Any]:
    """The ratio of rows, and how often the two tests point in different directions."""
    losses = [calibrated_losses(scored) for scored in found]
    right = [scored.right.astype(float) for scored in found]
    ratios, contrary, disagreement = [], 0, []
    for a, b in combinations(range(len(found)), 2):
        accuracy = right[a] - right[b]
        if abs(accuracy.mean()) < CLEAR:
            continue
        loss = losses[b] - losses[a]
        by_accuracy, by_loss = (x.mean() / x.std() for x in (accuracy, loss))
        contrary += bool(by_accuracy * by_loss < 0)
        ratios.append((by_loss / by_accuracy) ** 2)
        disagreement.append(float((accuracy != 0).mean()))
    low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75])
    return {
        "models": len(found), "rows": len(right[0]), "pairs": len(ratios),
        "lowest_accuracy": float(min(r.mean() for r in right)),
        "highest_accuracy": float(max(r.mean() for r in right)),
        "mean_disagreement": float(np.mean(disagreement)), "rows_saved": float(middle),
        "rows_saved_quartiles": [float(low), float(high)], "contrary": contrary,
    }  # fmt: skip


def main() -> None:
    """Print it in words, or as one JSON document."""
    parser = argparse.ArgumentParser(description="Rows that a test on probabilities saves.")
    parser.add_argument("--config", help="config file whose data is used")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    found = compare(models(config_file.load(options.config).data))
    if options.json:
        print(json.dumps(found, indent=2))
        return
    low, high = found["rows_saved_quartiles"]
    print(
        f"{found['models']} linear models, accuracy {found['lowest_accuracy']:.1%} to "
        f"{found['highest_accuracy']:.1%} on {found['rows']:,} rows, disagreeing on "
        f"{found['mean_disagreement']:.1%} of them.\n"
        f"{found['pairs']} pairs with a gap of {CLEAR:.2%} or more: the calibrated log loss needs "
        f"{found['rows_saved']:.1f} times fewer rows than right and wrong (median; quartiles "
        f"{low:.1f} and {high:.1f}), and points the other way in {found['contrary']}."
    )


if __name__ == "__main__":
    main()
