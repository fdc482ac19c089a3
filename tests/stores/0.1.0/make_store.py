"""How this store was made: by the commands of release 0.1.0, once. See README.md.

It was run in a fresh checkout of that release at `PLACE`, whose `.incumbent` it removes.
"""

from __future__ import annotations

import json
import os
import platform
import random
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
PLACE = Path("/srv/incumbent")  # as in docs/operations.md: MLflow keeps whole paths
LIBRARIES = (
    "numpy", "pandas", "pyarrow", "scipy", "scikit-learn", "mlflow", "prefect", "ktrain",
    "tensorflow", "tf-keras", "transformers", "tokenizers", "onnx", "onnxruntime", "pydantic",
)  # fmt: skip
# Of a run's files, those that only people look at: most of the bytes, and no command reads them.
FOR_PEOPLE = ("plots", "data_docs", "report.html", "predictor.zip")

CONFIGS = {
    "tickets.yaml": """\
model_name: tickets
data: {train: data/train-40.csv, test: data/test.csv, text_column: message, label_columns: topic}
preprocessing: {max_length: 24}
training: {model: nbsvm, learning_rate: 0.05, epochs: 3, batch_size: 16, validation_fraction: 0.1}
evaluation: {bootstrap_samples: 200}
promotion: {min_accuracy: 0.4, min_gain_over_baseline: -0.5}
""",
    "tickets-bert.yaml": """\
model_name: tickets-bert
data: {train: data/train-160.csv, test: data/test.csv, text_column: message, label_columns: topic}
preprocessing: {max_length: 24}
training: {model: transformer, weights: weights/tiny-bert, learning_rate: 0.003, epochs: 30,
           batch_size: 16, validation_fraction: 0.1}
evaluation: {bootstrap_samples: 200}
promotion: {min_accuracy: 0.2, min_gain_over_baseline: -1}
""",
}

TICKETS = ["--config", "configs/tickets.yaml"]
COMMANDS = [
    # Version 1 takes the title, and 2 is kept out: the same rows, another seed.
    ["retrain", *TICKETS],
    ["retrain", *TICKETS, "--set", "training.seed=2"],
    # Version 3 is better, waits, and is approved.
    ["retrain", *TICKETS, "--set", "data.train=data/train-80.csv", "--set",
     "promotion.mode=manual"],
    ["approve", "3", "--model", "tickets", "--reason", "seen by the support desk"],
    # There and back.
    ["rollback", "--model", "tickets", "--reason", "too many refunds taken for invoices"],
    ["rollback", "--model", "tickets", "--to", "3", "--reason", "the rows were labelled wrong"],
    # Version 4 is better again, and still waits.
    ["retrain", *TICKETS, "--set", "data.train=data/train-160.csv", "--set",
     "promotion.mode=manual"],
    # Version 5 is too bad to contend.
    ["retrain", *TICKETS, "--set", "training.learning_rate=0.0001", "--set", "training.epochs=1",
     "--set", "promotion.min_accuracy=0.95"],
    # A transformer, in the same store.
    ["retrain", "--config", "configs/tickets-bert.yaml"],
]  # fmt: skip
# What a later release contends with: better than any before, as it has the most rows.
CONTEST = ["retrain", *TICKETS, "--set", "data.train=data/train-400.csv"]
TEXTS = [
    "The courier left my parcel at the depot again.",
    "You have charged my card twice for one invoice.",
    "I want a refund, the seal of the box was broken.",
    "Ein Satz ohne ein bekanntes Wort.",
]
# What only reads: asked at the end, and by each later release.
QUESTIONS = [
    ["models"],
    ["history", "--model", "tickets"],
    ["history", "--model", "tickets-bert"],
    *(["explain", str(version), "--model", "tickets"] for version in range(1, 6)),
    ["explain", "1", "--model", "tickets-bert"],
    ["predict", "--model", "tickets", *TEXTS],
    ["predict", "--model", "tickets", "--alias", "challenger", *TEXTS],
    ["predict", "--model", "tickets-bert", *TEXTS],
]

# By topic: things, and what is the matter with them.
WORDS = {
    "billing": (
        "invoice bill charge fee payment card subscription discount voucher price tax account",
        "was charged twice|is higher than agreed|does not show the discount|was taken too early|"
        "lists a fee that I never ordered|has the wrong tax|was declined although my bank is fine|"
        "should have ended in spring|names another company|is missing from my account",
    ),
    "delivery": (
        "parcel courier delivery tracking shipment driver van depot doorstep postcode letter",
        "never arrived|went to the neighbours|is stuck at the depot|was left in the rain|"
        "has had no news since Monday|came a week late|rang at the wrong door|"
        "shows another town|was sent back without a word|is said to be signed for",
    ),
    "returns": (
        "refund return exchange replacement warranty repair seal size label zip colour handle",
        "broke after two days|does not fit|came in the wrong colour|is refused by the shop|"
        "takes longer than promised|was open already|is not what the picture shows|"
        "fell off at first use|has to go back|needs a new form",
    ),
}
OPENINGS = [
    "Hello to all of you,", "A very good morning,", "Can somebody please help:",
    "Once more I write:", "As I wrote last week,", "To whom it may concern:",
    "Hi there, me again:", "I am sorry, but", "Since yesterday evening", "I cannot believe that",
    "My question is short:", "This is about my order:", "Dear team, it seems",
    "You should know that",
]  # fmt: skip
ENDINGS = [
    "What can I do now?", "Please answer as soon as you can.", "I have waited for days.",
    "Nobody picks up the phone.", "My order was in March.", "This is the second time.",
    "Thank you for your help.", "I need it this week.", "Your shop could not help me.",
    "Please call me back.", "How long shall I wait?", "I am not amused.",
    "I have been a customer for years.", "Write to me, not to my office.",
]  # fmt: skip


def tickets(rows: int, chance: random.Random, known: set[str]) -> pd.DataFrame:
    """So many messages to a support desk that are not known yet, each of one topic."""
    found: list[tuple[str, str]] = []
    while len(found) < rows:
        topic = chance.choice(sorted(WORDS))
        # The thing of any topic now and then: or no model would be better than another.
        things = WORDS[topic if chance.random() < 0.7 else chance.choice(sorted(WORDS))][0]
        noun = chance.choice(things.split())
        what = chance.choice(WORDS[topic][1].split("|"))
        text = f"{chance.choice(OPENINGS)} the {noun} {what}. {chance.choice(ENDINGS)}"
        if text not in known:
            known.add(text)
            found.append((text, topic))
    return pd.DataFrame(found, columns=["message", "topic"])


def write_data(folder: Path) -> None:
    """One test set, and training sets of which each holds the one before."""
    chance, known = random.Random(7), set[str]()  # noqa: S311  no secrets
    folder.mkdir()
    tickets(160, chance, known).to_csv(folder / "test.csv", index=False)
    train = tickets(400, chance, known)
    for rows in (40, 80, 160, 400):
        train.head(rows).to_csv(folder / f"train-{rows}.csv", index=False)


def write_bert(folder: Path, hidden: int = 16) -> None:
    """A BERT of one layer of random weights, whose vocabulary is that of the messages."""
    from safetensors.numpy import save_file
    from transformers import BertTokenizerFast

    folder.mkdir(parents=True)
    texts = " ".join(part for words in WORDS.values() for part in words).replace("|", " ")
    texts = f"{texts} {' '.join(OPENINGS)} {' '.join(ENDINGS)} the".lower()
    for mark in ".,:?":
        texts = texts.replace(mark, f" {mark} ")
    letters = "abcdefghijklmnopqrstuvwxyz"
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    parts = [*letters, *(f"##{letter}" for letter in letters)]
    vocabulary += dict.fromkeys([*parts, *sorted(set(texts.split()))])
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    BertTokenizerFast(vocab_file=str(folder / "vocab.txt")).save_pretrained(str(folder))
    config = {
        "architectures": ["BertModel"], "model_type": "bert", "vocab_size": len(vocabulary),
        "hidden_size": hidden, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 2 * hidden, "hidden_act": "gelu", "max_position_embeddings": 32,
        "type_vocab_size": 2, "layer_norm_eps": 1e-12, "pad_token_id": 0,
        "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
        "initializer_range": 0.02,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    chance = np.random.default_rng(0)
    tensors: dict[str, Any] = {}

    def dense(name: str, rows: int, columns: int) -> None:
        tensors[f"{name}.weight"] = chance.normal(0, 0.1, (rows, columns)).astype("float32")
        tensors[f"{name}.bias"] = np.zeros(rows, "float32")

    def norm(name: str) -> None:
        tensors[f"{name}.weight"] = np.ones(hidden, "float32")
        tensors[f"{name}.bias"] = np.zeros(hidden, "float32")

    for name, rows in (("word", len(vocabulary)), ("position", 32), ("token_type", 2)):
        table = chance.normal(0, 0.1, (rows, hidden)).astype("float32")
        tensors[f"embeddings.{name}_embeddings.weight"] = table
    norm("embeddings.LayerNorm")
    for name in ("query", "key", "value"):
        dense(f"encoder.layer.0.attention.self.{name}", hidden, hidden)
    dense("encoder.layer.0.attention.output.dense", hidden, hidden)
    norm("encoder.layer.0.attention.output.LayerNorm")
    dense("encoder.layer.0.intermediate.dense", 2 * hidden, hidden)
    dense("encoder.layer.0.output.dense", hidden, 2 * hidden)
    norm("encoder.layer.0.output.LayerNorm")
    dense("pooler.dense", hidden, hidden)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def incumbent(*arguments: str) -> Any:
    """The answer of a command, run as a user does."""
    sys.stderr.write(f"incumbent {' '.join(arguments)}\n")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "MLFLOW_"))}
    done = subprocess.run(
        [sys.executable, "-m", "incumbent", *arguments, "--json"],
        cwd=PLACE, check=False, stdout=subprocess.PIPE, text=True,
        env={**kept, "PREFECT_HOME": str(PLACE / "prefect"), "LOGNAME": "incumbent",
             "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "300"},
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.returncode)
    answer = json.loads(done.stdout)
    if isinstance(answer, dict) and "decision" in answer:
        sys.stderr.write(f"  {answer['decision']}: {answer['reason']}\n")
    return answer


def slim(mlruns: Path) -> None:
    """Take away what no command reads, and what the database no longer needs."""
    for run in (mlruns / "artifacts").glob("*/artifacts"):
        for name in FOR_PEOPLE:
            shutil.rmtree(run / name, ignore_errors=True)
            (run / name).unlink(missing_ok=True)
    # Of the bare predictors, which are random numbers mostly, those of the champions stay.
    for version in incumbent("models"):
        if "champion" not in version["aliases"]:
            folder = mlruns / "artifacts" / version["run_id"] / "artifacts" / "predictor"
            shutil.rmtree(folder)
    store = sqlite3.connect(mlruns / "mlflow.db")
    store.execute("vacuum")
    store.close()


def main() -> None:
    """Make the store, ask it, and pack it."""
    for name, text in CONFIGS.items():
        (PLACE / "configs" / name).write_text(text, encoding="utf-8")
    write_data(PLACE / "data")
    write_bert(PLACE / "weights" / "tiny-bert")
    for command in COMMANDS:
        incumbent(*command)
    slim(PLACE / "mlruns")
    shutil.rmtree(PLACE / ".incumbent")  # a store must be enough
    answers = [{"command": question, "answer": incumbent(*question)} for question in QUESTIONS]
    made_with = {"python": platform.python_version()}
    made_with |= {name: metadata.version(name) for name in LIBRARIES}
    found = {
        "made_with": made_with, "model_name": "tickets", "contest": CONTEST, "answers": answers,
    }  # fmt: skip
    written = json.dumps(found, indent=1, ensure_ascii=False)
    (HERE / "answers.json").write_text(f"{written}\n", encoding="utf-8")
    configs = [f"configs/{name}" for name in CONFIGS]
    with tarfile.open(HERE / "store.tar.xz", "w:xz", preset=9) as archive:
        for name in ("mlruns", "data", "weights", *configs):
            archive.add(PLACE / name, name, filter=anonymous)


def anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """A file without the account that made it."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    main()
