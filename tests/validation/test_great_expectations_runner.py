"""What validation finds, says and leaves on disk; each check fails on data made to fail it."""

from __future__ import annotations

import re
import subprocess
import sys

import pandas as pd
import pytest

from incumbent.config import ValidationConfig
from incumbent.data import canonical_text, datasets
from incumbent.data.datasets import Dataset
from incumbent.validation import text_checks
from incumbent.validation.label_checks import known_labels

TRAIN = [(f"a good film, number {n}", "pos") for n in range(15)] + [
    (f"a bad film, number {n}", "neg") for n in range(15)
]
TEST = [(text.replace("film", "picture"), label) for text, label in TRAIN]


def frame_of(rows) -> pd.DataFrame:
    frame = pd.DataFrame([row[:2] for row in rows], columns=["text", "label"], dtype=object)
    kinds = [row[2] if len(row) > 2 else ("text" if row[0].strip() else "empty") for row in rows]
    return canonical_text.canonical(
        frame.assign(
            row=range(2, len(rows) + 2),
            found=pd.Series(kinds, dtype=object),
            formula=pd.Series([row[1] == "=" for row in rows], dtype=bool),
            label=frame["label"].replace("=", ""),
        )
    )


def dataset_of(folder, train=TRAIN, test=TEST, name="x.xlsx") -> Dataset:
    names = f"train_{name}", f"test_{name}"
    return datasets.save([frame_of(train)], [frame_of(test)], names, folder / "datasets")


def validate(folder, train=TRAIN, test=TEST, name="x.xlsx", **config):
    from incumbent.validation.great_expectations_runner import validate

    return validate(dataset_of(folder, train, test, name), ValidationConfig(**config), folder)


def failures(verdict) -> dict[tuple[str, str], object]:
    return {(f.split, f.name): f for f in verdict.findings if not f.passed}


def test_the_import_is_cheap():
    code = (
        "import sys, incumbent.validation.great_expectations_runner\n"
        "sys.exit('great_expectations' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.mark.slow
def test_good_data_passes(tmp_path):
    verdict = validate(tmp_path)
    assert verdict.passed
    assert failures(verdict) == {}
    assert verdict.refusal() == ""
    assert verdict.dropped == 0
    assert sorted(path.name for path in verdict.data_docs.iterdir()) == [
        "index.html",
        "test.html",
        "train.html",
    ]


BAD_ROWS = {
    "empty": ([(" ", "pos")], "1 row without a text", "on_empty"),
    "not_text": (
        [("#N/A", "pos", "error"), ("=A1", "pos", "formula")],
        "1 × error or object, 1 × formula",
        "on_not_text",
    ),
    "length": ([("x", "pos"), ("y" * 40_000, "neg")], "1 longer than 32,767", "on_length"),
    "control": ([("bell\a", "pos")], "1 text with control", "on_control"),
    "repeat": ([("Twice told", "pos"), ("twice  told", "pos")], "1 row repeating", "on_repeat"),
    "conflict": ([("Said so", "pos"), ("said so", "neg")], "2 rows whose text", "on_conflict"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("check", "bad"), BAD_ROWS.items(), ids=BAD_ROWS)
@pytest.mark.parametrize("side", ["train", "test"])
def test_bad_rows(tmp_path, side, check, bad):
    rows, problem, key = bad
    data = {"train": TRAIN, "test": TEST}
    data[side] = data[side] + rows
    off = {other[2]: "off" for other in BAD_ROWS.values()} | {"labels": ("neg", "pos")}
    verdict = validate(tmp_path, **data, **(off | {key: "error"}))
    (finding,) = [f for place, f in failures(verdict).items() if place == (side, check)]
    assert not verdict.passed
    assert problem in finding.message
    assert finding.message.endswith(f"; or set validation.{key} to warn.")
    assert finding.rows
    assert set(finding.rows) <= {32, 33}
    assert f"{side}_x.xlsx ({side}) was refused" in verdict.refusal()
    assert str(finding.rows[0]) in verdict.refusal()
    warned = validate(tmp_path, **data, **(off | {key: "warn"}))
    assert warned.passed
    warning = failures(warned)[side, check]
    assert warning.severity == "warn"
    assert warning.message.endswith(f"; or set validation.{key} to off.")
    left_out = validate(tmp_path, **data, **off)
    assert check not in {f.name for f in left_out.findings}


@pytest.mark.parametrize("sets", [False, True], ids=["classes", "sets"])
@pytest.mark.parametrize("side", ["train", "test"])
@pytest.mark.parametrize("severity", ["error", "warn"])
def test_no_check_advises_what_is_set(side, sets, severity):
    keys = [name for name in ValidationConfig.model_fields if name.startswith("on_")]
    config = ValidationConfig(**dict.fromkeys(keys, severity))
    suite = text_checks.for_split(side, config, ("neg", "pos"), sets=sets)
    offered = {check.key for check in suite if check.key}
    assert offered >= {f"on_{check}" for check in BAD_ROWS}
    assert offered <= set(keys)
    for check in suite:
        assert check.advice.endswith(".")
        assert not check.remedy.endswith(".")
        assert f"to {check.severity}" not in check.advice
        if check.key:
            assert check.severity == severity
            lower = {"error": "warn", "warn": "off"}[severity]
            assert f"validation.{check.key} to {lower}." in check.advice


@pytest.mark.slow
@pytest.mark.parametrize("side", ["train", "test"])
def test_rows_without_a_known_label_are_always_refused(tmp_path, side):
    data = {"train": TRAIN, "test": TEST}
    data[side] = [*data[side], ("fine", ""), ("meh", "so-so")]
    verdict = validate(tmp_path, **data, labels=("neg", "pos"))
    finding = failures(verdict)[side, "label"]
    assert "1 row without a label and 1" in finding.message
    assert "validation.labels" in finding.message
    assert set(finding.rows) == {32, 33}
    assert not verdict.passed


@pytest.mark.slow
def test_only_one_class(tmp_path):
    verdict = validate(tmp_path, train=TRAIN[:15] * 2, test=TEST[:15] * 2)
    assert "Only one class: 'pos'" in failures(verdict)["train", "one_class"].message
    assert not verdict.passed


@pytest.mark.slow
def test_too_few_rows_and_classes(tmp_path):
    verdict = validate(tmp_path, train=TRAIN[4:18], test=TEST[:15])
    found = failures(verdict)
    assert "14 rows, and at least 16 needed: 2 more" in found["train", "rows"].message
    assert (
        "3 rows of 'neg', and at least 5 of each class needed: 2 more of 'neg'. Add"
        in found["train", "class_rows"].message
    )
    assert "No row of 'neg'" in found["test", "classes"].message
    assert found["test", "classes"].count == 1
    # A class too rare to be tested is no reason to train nothing.
    assert found["train", "class_rows"].severity == "error"
    assert found["test", "classes"].severity == "warn"


@pytest.mark.slow
def test_rows_that_the_sample_cut(tmp_path):
    from incumbent.validation.great_expectations_runner import validate

    dataset = dataset_of(tmp_path, TRAIN[4:18], TEST[:15])
    cut = failures(validate(dataset, ValidationConfig(), tmp_path, sample=14))
    for name in ("rows", "class_rows"):
        assert "Raise data.sample, which cut the rows to 14, or" in cut["train", name].message
    assert "Add rows, or" in cut["test", "rows"].message  # it had no more


@pytest.mark.slow
def test_an_empty_split_is_refused_not_crashed_on(tmp_path):
    verdict = validate(tmp_path, train=[], labels=("neg", "pos"))
    assert not verdict.passed
    assert ("train", "rows") in failures(verdict)


@pytest.mark.slow
def test_a_label_of_test_that_train_lacks(tmp_path):
    verdict = validate(tmp_path, test=[*TEST, ("strange", "neutral")])
    message = failures(verdict)["test", "label"].message
    assert "'neutral'" in message
    assert "known are 'neg', 'pos'" in message


@pytest.mark.slow
def test_a_label_named_that_train_lacks(tmp_path):
    verdict = validate(
        tmp_path, test=[*TEST, ("strange", "neutral")], labels=("neg", "neutral", "pos", ""),
        on_rows="warn",
    )  # fmt: skip
    found = failures(verdict)
    assert "No row of 'neutral'" in found["train", "classes"].message
    assert found["train", "classes"].severity == "warn"
    assert found["test", "label"].severity == "error"
    assert found["test", "label"].rows == (32,)
    assert "known are 'neg', 'pos'" in found["test", "label"].message
    assert "add such rows to train" in found["test", "label"].message
    assert ("test", "classes") not in found
    assert not verdict.passed


def test_known_labels():
    def known(*labels):
        return known_labels(ValidationConfig(labels=labels or None), ("a", "b"))

    assert known() == known("") == {"train": ("a", "b"), "test": ("a", "b")}
    assert known("a", "", "c") == {"train": ("a", "c"), "test": ("a",)}


@pytest.mark.slow
def test_labels_of_which_train_has_none(tmp_path):
    verdict = validate(tmp_path, train=[(text, "") for text, _ in TRAIN])
    assert "known are none" in failures(verdict)["test", "label"].message


@pytest.mark.slow
def test_a_formula_where_a_label_belongs(tmp_path):
    rows = [("fine", ""), ("dull", "="), ("odd", "=")]
    finding = failures(validate(tmp_path, train=TRAIN + rows))["train", "label"]
    assert finding.message.startswith(
        "1 row without a label and 2 rows with a formula where a label belongs"
    )
    assert finding.rows == (32, 33, 34)


@pytest.mark.slow
def test_a_leak(tmp_path):
    test = [*TEST, (TRAIN[3][0].upper() + "\n", "pos"), TRAIN[4]]
    verdict = validate(tmp_path, test=test)
    finding = failures(verdict)["test", "leak"]
    assert (finding.severity, finding.count, finding.rows) == ("error", 2, (32, 33))
    assert "test row 32 is train row 5" in finding.message
    assert "validation.on_leak" in verdict.refusal()
    assert validate(tmp_path, test=test, on_leak="warn").passed


@pytest.mark.slow
def test_a_leak_is_dropped_from_train(tmp_path):
    train = [*TRAIN, ("A good film,  number 3", "pos")]
    before = dataset_of(tmp_path, train, [*TEST, TRAIN[3]])
    verdict = validate(tmp_path, train, [*TEST, TRAIN[3]], on_leak="drop")
    assert verdict.passed
    assert verdict.dropped == 2
    assert verdict.dataset.train.rows == len(train) - 2
    assert verdict.dataset.digest != before.digest
    assert verdict.dataset.test.digest == before.test.digest
    assert verdict.dataset.train.path.is_file()
    assert datasets.load(verdict.dataset.train)["row"].tolist().count(5) == 0
    finding = failures(verdict)["train", "leak"]
    assert (finding.severity, finding.count, finding.rows) == ("warn", 2, (5, 32))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["x.csv", "x.xlsx"])
def test_a_few_numbers_are_texts_and_a_column_of_them_is_none(tmp_path, name):
    odd = [("12/10", "pos"), ("!", "neg"), ("100 %", "pos"), ("5", "neg", "number")]
    assert failures(validate(tmp_path, TRAIN + odd, name=name)) == {}
    numbers = [(str(n), label, "number") for n, (_, label) in enumerate(TRAIN)]
    written = [(f"{n}/10", label) for n, (_, label) in enumerate(TRAIN)]
    for rows in (numbers, written, numbers + TRAIN[:5]):
        finding = failures(validate(tmp_path, rows, name=name))["train", "not_text"]
        assert finding.severity == "error"
        assert finding.count == 30


@pytest.mark.slow
def test_labels_that_are_like_others_are_asked_about(tmp_path):
    train = [*TRAIN, ("so fine", "Pos"), ("so fair", "pos; neg"), ("so bad", "neg;pos")]
    found = failures(validate(tmp_path, train, min_rows_per_class=1))
    similar, joined = found["train", "similar_labels"], found["train", "joined_labels"]
    assert "'Pos' (1 row) beside 'pos' (15)" in similar.message
    assert (similar.severity, similar.rows, joined.rows) == ("warn", (32,), (33, 34))
    assert "data.label_separator" in joined.message
    strange = failures(validate(tmp_path, test=[*TEST, ("so fine", "Pos")]))["test", "label"]
    assert "'Pos' (did you mean 'pos'?)" in strange.message
    refused = validate(tmp_path, train, min_rows_per_class=1, on_similar_labels="error")
    assert not refused.passed


@pytest.mark.slow
def test_rare_classes_are_left_out_where_that_is_asked_for(tmp_path):
    train = [*TRAIN, ("a tie", "draw")]
    test = [*TEST, ("another tie", "draw"), ("who knows", "odd")]
    assert not validate(tmp_path, train).passed
    verdict = validate(tmp_path, train, test, on_rare_class="drop")
    assert verdict.passed, verdict.refusal()
    assert verdict.dataset.classes == ("neg", "pos")
    assert "draw" not in verdict.dataset.test.labels
    assert failures(verdict)["train", "rare_class"].rows == (32,)
    assert failures(verdict)["test", "rare_class"].rows == (32, 33)
    # The frozen test set is the one that was read.
    assert verdict.dataset.test.digest == dataset_of(tmp_path, train, test).test.digest
    many = [*test, ("nobody does", "odd"), ("who does", "odd")]
    assert not validate(tmp_path, train, many, on_rare_class="drop").passed  # too many for a chance


@pytest.mark.slow
def test_a_few_leaks_are_dropped(tmp_path):
    many = [(f"{n} {text}", label) for n in range(3) for text, label in TRAIN]
    other = [(text.replace("film", "picture"), label) for text, label in many]
    verdict = validate(tmp_path, [*many, ("Thanks", "pos")], [*other, ("thanks", "pos")])
    assert verdict.passed
    assert (verdict.dropped, verdict.dataset.train.rows) == (1, len(many))
    assert failures(verdict)["train", "leak"].rows == (92,)
    assert not validate(tmp_path, many, [*other, *many[:20]]).passed


HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)> ${x} {{7*7}}"


@pytest.mark.slow
def test_hostile_text_and_labels_are_escaped(tmp_path):
    train = TRAIN + [(HOSTILE + str(n), HOSTILE) for n in range(3)] + [("=x", HOSTILE, "formula")]
    verdict = validate(tmp_path, train, [*TEST, (HOSTILE + "0", HOSTILE), ("fine", "<b>")])
    assert not verdict.passed
    for page in verdict.data_docs.iterdir():
        html = page.read_text(encoding="utf-8")
        assert "<script" not in html
        assert "<img" not in html
        assert "<b>" not in html
        assert "http" not in re.sub(r"http-equiv", "", html).replace("http://www.w3.org", "")
    index = (verdict.data_docs / "index.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;" in index
    assert "The data was refused" in index


@pytest.mark.slow
def test_everything_failing_is_summarised(tmp_path):
    train = [("", "")] * 5000
    verdict = validate(tmp_path, train, TEST, labels=("neg", "pos"))
    finding = failures(verdict)["train", "empty"]
    assert finding.count == 5000
    assert len(finding.rows) == 20
    assert "and 4,980 more" in verdict.refusal()
    assert (verdict.data_docs / "train.html").stat().st_size < 200_000


SETS = [("late|rude", 6), ("late", 6), ("none", 18)]


def of_sets(folder, sets=SETS, **config):
    """The verdict on rows with these sets of labels, as many as it says of each."""
    from incumbent.validation.great_expectations_runner import validate

    rows = [(f"a remark, number {label} {n}", label) for label, size in sets for n in range(size)]
    other = [(text.replace("remark", "word"), label) for text, label in rows]
    names = "train.xlsx", "test.xlsx"
    dataset = datasets.save(
        [frame_of(rows)], [frame_of(other)], names, folder / "datasets", ("late", "rude")
    )
    return validate(dataset, ValidationConfig(**config), folder)


@pytest.mark.slow
def test_sets_of_labels_are_good_data(tmp_path):
    verdict = of_sets(tmp_path)
    assert verdict.passed, verdict.refusal()
    assert failures(verdict) == {}


@pytest.mark.slow
@pytest.mark.parametrize("on_rows", ["error", "warn"])
def test_a_label_needs_rows_with_it_and_rows_without(tmp_path, on_rows):
    verdict = of_sets(tmp_path, [("late", 20), ("late|rude", 3)], on_rows=on_rows)
    found = failures(verdict)
    missing = found["train", "classes"]
    assert missing.message.startswith("Every row has 'late'. Add rows")
    assert missing.severity == "error"  # no model can be trained to tell
    assert found["test", "classes"].severity == "warn"
    few = found["train", "class_rows"]
    assert few.message.startswith("3 rows with 'rude', and at least 5 of each needed")
    assert few.rows == (22, 23, 24)
    assert not verdict.passed


@pytest.mark.slow
def test_a_label_that_no_row_has(tmp_path):
    verdict = of_sets(tmp_path, [("late", 10), ("none", 20)])
    assert failures(verdict)["train", "classes"].message.startswith("No row has 'rude'.")


@pytest.mark.slow
def test_a_text_with_two_sets_of_labels_is_a_conflict_and_leaks_can_be_dropped(tmp_path):
    from incumbent.validation.great_expectations_runner import validate

    rows = [(f"number {label} {n}", label) for label, size in SETS for n in range(size)]
    twice = [*rows, ("number none 17", "rude"), ("only here", "late")]
    test = [(f"another {text}", label) for text, label in rows[1:]] + rows[:1]
    dataset = datasets.save(
        [frame_of(twice)], [frame_of(test)], ("a.csv", "b.csv"), tmp_path, ("late", "rude")
    )
    verdict = validate(dataset, ValidationConfig(on_leak="drop"), tmp_path)
    assert "2 rows whose text stands elsewhere, labelled otherwise" in (
        failures(verdict)["train", "conflict"].message
    )
    assert verdict.dropped == 1
    assert verdict.dataset.label_names == ("late", "rude")
    assert verdict.dataset.train.labels == {"late": 12, "rude": 6, "none": 18}
