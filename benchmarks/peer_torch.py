"""The PyTorch peer, in an environment of its own: it answers as `benchmarks.harness.serve` does.

transformers' model and AdamW as its trainer sets it up, with `group_by_length`: rows are shuffled,
sorted by length within windows of 50 batches, and padded to the batch's longest.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def make(settings: dict[str, Any]) -> Callable[[], float]:
    """Load the weights and tokenize the rows; the function trains an epoch, in seconds."""
    import torch
    from transformers import BertForSequenceClassification, BertTokenizerFast

    content = json.loads(Path(settings["sample"]).read_text(encoding="utf-8"))
    tokenizer = BertTokenizerFast.from_pretrained(settings["weights"])
    ids = tokenizer(content["texts"], truncation=True, max_length=settings["max_length"])
    labels = content["labels"]
    rows = list(zip(ids["input_ids"], labels, strict=True))
    model = BertForSequenceClassification.from_pretrained(settings["weights"], num_labels=2)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), settings["rate"])
    size, window = settings["batch_size"], 50 * settings["batch_size"]
    order = random.Random(0)  # noqa: S311  an order, not a secret

    def epoch() -> float:
        start = time.perf_counter()
        order.shuffle(rows)
        sorted_rows = [
            row
            for first in range(0, len(rows), window)
            for row in sorted(rows[first : first + window], key=lambda row: len(row[0]))
        ]
        batches = [sorted_rows[first : first + size] for first in range(0, len(rows), size)]
        order.shuffle(batches)
        for batch in batches:
            inputs = tokenizer.pad({"input_ids": [row for row, _ in batch]}, return_tensors="pt")
            optimizer.zero_grad()
            model(**inputs, labels=torch.tensor([label for _, label in batch])).loss.backward()
            optimizer.step()
        return time.perf_counter() - start

    epoch()
    return epoch


def main() -> None:
    """Settings first, then a line for each epoch."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    epoch: Callable[[], float] | None = None
    for line in sys.stdin:
        answer = {}
        if epoch is None:
            epoch = make(json.loads(line))
        else:
            answer = {"seconds": epoch()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
