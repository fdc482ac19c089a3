"""Behaviour tests: reading suites, making cases, judging answers."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from incumbent.behaviour import behaviour_tests, perturbations
from incumbent.behaviour.behaviour_tests import Suite
from incumbent.data import embedded_reviews
from incumbent.errors import ConfigError, StageError
from incumbent.evaluation.wilson_and_bootstrap import wilson

CLASSES = ("neg", "pos")
TEXTS = [f"Review number {n} of a rather long film about the sea." for n in range(200)]
HOSTILE = [
    "", "  \n", "a", "映画", "😀 👩‍👩‍👧", "ﬁnal STRASSE straße İstanbul",
    "{praise} {0} {{x}} %s \\1 \\g<1>",
    "<script>alert('x')</script>", "=SUM(A1)", "nul\x00byte", "x" * 30_000, "aaaa bbbb", "résumé",
    "e\u0301te\u0301", "שלום עולם", "one\r\ntwo", "12345 67890",
]  # fmt: skip


@pytest.fixture
def packaged() -> Suite:
    return behaviour_tests.load()


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], Suite]:
    """Reads a suite from YAML."""

    def read(text: str) -> Suite:
        path = tmp_path / "tests.yaml"
        path.write_text(text, encoding="utf-8")
        return behaviour_tests.load(path)

    return read


def test_the_packaged_tests_are_few_enough_for_every_challenger(packaged: Suite) -> None:
    found = behaviour_tests.cases(packaged, TEXTS, CLASSES, 0)
    counts = found["test"].value_counts()
    assert set(counts.index) == {
        "case", "typo", "neutral", "length", "more praise", "more blame",
        "vocabulary", "negation", "contrast", "names",
    }  # fmt: skip
    assert counts.max() <= 100
    assert counts.min() >= 15
    assert len(behaviour_tests.questions(found)) <= 620
    assert set(found["kind"]) == {"invariance", "direction", "functionality"}


def test_the_packaged_file_goes_with_the_package() -> None:
    project = Path(__file__).parents[2] / "pyproject.toml"
    data = tomllib.loads(project.read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]
    assert "behaviour/behaviour.yaml" in data["incumbent"]


def test_cases_on_real_reviews(packaged: Suite) -> None:
    _, test = embedded_reviews._split(embedded_reviews._corpus())
    found = behaviour_tests.cases(packaged, test["text"].tolist(), CLASSES, 0)
    changed = found[found["kind"] == "invariance"]
    assert (changed.groupby("test").size() >= 60).all()
    by_test = dict(iter(changed.groupby("test")))
    for text, original in by_test["case"][["text", "original"]].to_numpy():
        assert text in (original.upper(), original.lower())
    for text, original in by_test["typo"][["text", "original"]].to_numpy():
        assert Counter(text) == Counter(original)
        assert sum(a != b for a, b in zip(text, original, strict=True)) == 2
        assert [word[:1] for word in text.split()] == [word[:1] for word in original.split()]
    for text, original in by_test["neutral"][["text", "original"]].to_numpy():
        assert text.startswith(f"{original} ") or text.endswith(f". {original}")
    for text, original in by_test["length"][["text", "original"]].to_numpy():
        words = len(original.split())
        assert text.startswith(f"{original} ")
        assert min(2 * words, words + 30) <= len(text.split()) < words + 30 + 10


def test_cases_depend_on_the_seed_alone(packaged: Suite) -> None:
    first = behaviour_tests.cases(packaged, TEXTS, CLASSES, 3)
    pd.testing.assert_frame_equal(first, behaviour_tests.cases(packaged, TEXTS, CLASSES, 3))
    other = behaviour_tests.cases(packaged, TEXTS, CLASSES, 4)
    assert set(other["original"].dropna()) != set(first["original"].dropna())
    assert set(other["text"][other["test"] == "contrast"]) != set(
        first["text"][first["test"] == "contrast"]
    )


def test_a_tests_cases_are_the_same_whatever_the_others(packaged: Suite) -> None:
    alone = packaged.model_copy(update={"invariance": packaged.invariance[1:2], "direction": ()})
    every = behaviour_tests.cases(packaged, TEXTS, CLASSES, 0)
    some = behaviour_tests.cases(alone, TEXTS, CLASSES, 0)
    for name in ("typo", "names"):
        both = (frame[frame["test"] == name].reset_index(drop=True) for frame in (every, some))
        pd.testing.assert_frame_equal(*both)


def test_every_change_gets_its_share(load: Callable[[str], Suite]) -> None:
    suite = load("sample: 40\ninvariance: [{name: case, changes: [upper, lower]}]")
    found = behaviour_tests.cases(suite, TEXTS, (), 0)
    assert sum(text.isupper() for text in found["text"]) == 20
    assert sum(text.islower() for text in found["text"]) == 20


@given(st.lists(st.text(max_size=40) | st.sampled_from(HOSTILE), max_size=20), st.integers(0, 99))
@pytest.mark.slow
def test_no_text_is_its_own_original(texts: list[str], seed: int) -> None:
    found = behaviour_tests.cases(behaviour_tests.load(), texts, CLASSES, seed)
    changed = found[found["kind"] != "functionality"]
    assert (changed["text"] != changed["original"]).all()
    assert set(changed["original"]) <= {text for text in texts if text.strip()}
    assert not found.duplicated(["test", "original", "text"]).any()
    assert all(isinstance(text, str) for text in found["text"])


@given(st.text() | st.sampled_from(HOSTILE), st.integers(0, 9))
def test_a_typo_moves_two_letters_or_none(text: str, seed: int) -> None:
    found = perturbations.change(text, "typo", (), np.random.default_rng(seed))
    assert Counter(found) == Counter(text)
    assert sum(a != b for a, b in zip(found, text, strict=True)) in (0, 2)


@pytest.mark.parametrize("text", ["a", "映画", "12345 67890", "aaaa bbbb", "not bad"])
def test_what_cannot_be_mistyped_is_left_as_it_is(text: str) -> None:
    assert perturbations.change(text, "typo", (), np.random.default_rng(0)) == text


def test_braces_in_real_texts_are_text(load: Callable[[str], Suite]) -> None:
    suite = load(
        "words: {x: ['{y}', '\\1'], y: [Z]}\n"
        "invariance: [{name: after, changes: [after], sentences: ['Add {x}.']}]\n"
        "templates: [{name: t, templates: [{template: '{x} {x} {} {a-b}', label: pos}]}]\n"
    )
    found = behaviour_tests.cases(suite, ["{x} stays"], ["pos"], 0).set_index("test")["text"]
    assert found["after"] in ("{x} stays Add {y}.", "{x} stays Add \\1.")
    assert sorted(found[["t"]]) == ["\\1 \\1 {} {a-b}", "{y} {y} {} {a-b}"]


def test_templates_are_filled_in_different_ways(load: Callable[[str], Suite]) -> None:
    suite = load(
        "words: {a: [a1, a2, a2], b: [b1, b2, b3], many: ["
        + ", ".join(map(str, range(99)))
        + "]}\n"
        "templates:\n"
        "- name: few\n  templates: [{template: '{a} {b}', label: pos}]\n"
        "- name: many\n  cases: 7\n  templates:\n"
        "  - {template: '{many} {many} x{many}', label: pos}\n"
        "  - {template: '{b} {many}', label: 0}\n"
        "  - {template: 'no slot', label: pos}\n"
    )
    found = behaviour_tests.cases(suite, [], ["pos", "0"], 0)
    few = found[found["test"] == "few"]
    assert sorted(few["text"]) == ["a1 b1", "a1 b2", "a1 b3", "a2 b1", "a2 b2", "a2 b3"]
    many = found[found["test"] == "many"]
    assert many["text"].is_unique
    assert many["expected"].value_counts().to_dict() == {"pos": 4, "0": 2}
    assert all(re.fullmatch(r"(\d+) \1 x\1", text) for text in many["text"].head(3))


def test_tests_for_other_labels_are_left_out_and_named(packaged: Suite) -> None:
    found = behaviour_tests.cases(packaged, TEXTS, ("refund", "neg"), 0)
    assert set(found["test"]) == {"case", "typo", "neutral", "length", "more blame", "negation"}
    assert behaviour_tests.left_out(packaged, found, ("refund", "neg")) == dict.fromkeys(
        ("more praise", "vocabulary", "contrast", "names"), "the model has no class 'pos'"
    )


def test_tests_that_change_nothing_are_named(packaged: Suite) -> None:
    found = behaviour_tests.cases(packaged, ["映画", "!!", "好"], CLASSES, 0)
    assert behaviour_tests.left_out(packaged, found, CLASSES) == dict.fromkeys(
        ("case", "typo"), "it changes none of the sampled texts"
    )


def test_questions_are_every_text_once(packaged: Suite) -> None:
    found = behaviour_tests.cases(packaged, TEXTS, CLASSES, 0)
    asked = behaviour_tests.questions(found)
    assert len(asked) == len(set(asked))
    assert set(asked) == set(found["text"]) | set(found["original"].dropna())


def frame_of(*rows: tuple[str, str, str, str | None, str | None]) -> pd.DataFrame:
    columns = ["test", "kind", "text", "original", "expected"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def test_an_invariance_fails_where_the_label_changes() -> None:
    found = frame_of(
        ("case", "invariance", "GOOD", "good", None),
        ("case", "invariance", "BAD", "bad", None),
        ("typo", "invariance", "godo", "good", None),
    )
    labels = {"good": "pos", "GOOD": "neg", "bad": "neg", "BAD": "neg", "godo": "pos"}
    verdicts = behaviour_tests.judge(found, labels, 0.9)
    assert list(verdicts) == ["case", "typo"]
    case = verdicts["case"]
    assert (case.kind, case.cases, case.failures) == ("invariance", 2, 1)
    assert case.failure_rate == wilson(1, 2, 0.9)
    assert case.examples == (
        behaviour_tests.Example(text="GOOD", original="good", expected="pos", predicted="neg"),
    )
    assert verdicts["typo"].failures == 0
    assert verdicts["typo"].examples == ()


def test_a_consistently_wrong_model_is_invariant() -> None:
    found = frame_of(("case", "invariance", "GOOD", "good", None))
    assert behaviour_tests.judge(found, {"good": "neg", "GOOD": "neg"}, 0.95)["case"].failures == 0


def test_a_direction_is_asked_of_texts_that_had_the_label() -> None:
    found = frame_of(
        ("more blame", "direction", "bad, dull", "bad", "neg"),
        ("more blame", "direction", "poor, dull", "poor", "neg"),
        ("more blame", "direction", "good, dull", "good", "neg"),
    )
    labels = {"bad": "neg", "bad, dull": "neg", "poor": "neg", "poor, dull": "pos",
              "good": "pos", "good, dull": "pos"}  # fmt: skip
    verdict = behaviour_tests.judge(found, labels, 0.95)["more blame"]
    assert (verdict.cases, verdict.failures) == (2, 1)
    assert verdict.examples[0].text == "poor, dull"
    assert behaviour_tests.judge(found, dict.fromkeys(labels, "pos"), 0.95) == {}


def test_a_template_fails_where_the_label_is_another() -> None:
    texts = [f"not good {n} {'x' * 400}" for n in range(8)]
    found = frame_of(*(("negation", "functionality", text, None, "neg") for text in texts))
    verdict = behaviour_tests.judge(found, dict.fromkeys(texts, "pos"), 0.95)["negation"]
    assert (verdict.cases, verdict.failures) == (8, 8)
    assert len(verdict.examples) == 5
    example = verdict.examples[0]
    assert (example.original, example.expected, example.predicted) == (None, "neg", "pos")
    assert len(example.text) == 300
    assert example.text.endswith("…")


def test_a_model_that_knows_nothing_fails_and_one_that_reads_passes(packaged: Suite) -> None:
    found = behaviour_tests.cases(packaged, TEXTS, CLASSES, 0)
    asked = behaviour_tests.questions(found)
    constant = behaviour_tests.judge(found, dict.fromkeys(asked, "pos"), 0.95)
    assert {name for name, verdict in constant.items() if verdict.failures} == {
        "vocabulary", "negation", "contrast", "names",
    }  # fmt: skip
    by_length = {text: CLASSES[len(text) % 2] for text in asked}
    assert behaviour_tests.judge(found, by_length, 0.95)["neutral"].failures > 10
    expected = dict(found.loc[found["kind"] == "functionality", ["text", "expected"]].to_numpy())
    perfect = behaviour_tests.judge(
        found, {text: expected.get(text, "neg") for text in asked}, 0.95
    )
    assert sum(verdict.failures for verdict in perfect.values()) == 0


def test_verdicts_survive_a_file_and_answers_that_lack_a_text(
    packaged: Suite, tmp_path: Path
) -> None:
    found = behaviour_tests.cases(packaged, [*HOSTILE, *TEXTS], CLASSES, 0)
    found.to_parquet(tmp_path / "cases.parquet")
    again = pd.read_parquet(tmp_path / "cases.parquet")
    assert behaviour_tests.questions(again) == behaviour_tests.questions(found)
    labels = {text: CLASSES[len(text) % 2] for text in behaviour_tests.questions(found)}
    assert behaviour_tests.judge(again, labels, 0.95) == behaviour_tests.judge(found, labels, 0.95)
    labels.popitem()
    with pytest.raises(StageError, match=r"1 of the behaviour tests' texts were not predicted"):
        behaviour_tests.judge(found, labels, 0.95)


def test_no_texts_and_no_tests() -> None:
    nothing = behaviour_tests.cases(Suite(), [], CLASSES, 0)
    assert behaviour_tests.questions(nothing) == []
    assert behaviour_tests.judge(nothing, {}, 0.95) == {}
    assert list(nothing.columns) == ["test", "kind", "text", "original", "expected"]


def test_a_file_of_ones_own_replaces_the_packaged_tests(load: Callable[[str], Suite]) -> None:
    suite = load("invariance: [{name: shout, changes: [upper]}]")
    assert [test.name for test in suite.tests] == ["shout"]


def test_a_file_can_extend_the_packaged_tests(
    packaged: Suite, load: Callable[[str], Suite]
) -> None:
    suite = load(
        "extends: default\nsample: 10\nwords: {part: [song], mood: [sad]}\n"
        "invariance: [{name: names, changes: [upper]}]\n"
        "templates: [{name: songs, templates: [{template: 'A {praise} {part}', label: pos}]}]\n"
    )
    before = [test.name for test in packaged.tests]
    names = [test.name for test in suite.tests]
    # `names` was a template test; what is called so now is the user's.
    assert sorted(names) == sorted([*before, "songs"])
    assert [test.name for test in suite.invariance][-1] == "names"
    assert suite.sample == 10
    assert suite.words == {**packaged.words, "part": ("song",), "mood": ("sad",)}
    found = behaviour_tests.cases(suite, TEXTS, CLASSES, 0)
    assert set(found["text"][found["test"] == "songs"]) == {
        f"A {word} song" for word in packaged.words["praise"]
    }


TEMPLATE = "templates: [{name: negation, templates: [%s]}]"


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        (TEMPLATE % "{template: a}", ["test 'negation'", "templates.0.label", "field required"]),
        (TEMPLATE % "{template: a, label: no}", ["valid string", "found 'False'", "in quotes"]),
        (TEMPLATE % "{template: a, lable: x}", ["unknown key", "expected one of template, label"]),
        (TEMPLATE % "{template: '{god}', label: x}", ["'negation'", "slot {god}", "are none"]),
        ("words: {good: [a]}\n" + TEMPLATE % "{template: '{god}', label: x}", ["are good"]),
        ("words: {good: []}", ["words.good", "at least 1"]),
        ("words: {good: [no]}", ["words.good.0", "in quotes"]),
        ("templates: [{name: a, cases: 101, templates: [{template: a, label: b}]}]",
         ["test 'a': cases", "less than or equal to 100"]),
        ("templates: [{templates: []}]", ["templates, test 1: name: field required", "at least 1"]),
        ("invariance: [{name: a, changes: [reverse]}]", ["test 'a': changes.0", "'typo'"]),
        ("invariance: [{name: a, changes: []}]", ["test 'a': changes", "at least 1"]),
        ("invariance: [{name: a, changes: [pad]}]", ["test 'a'", "'pad' adds sentences"]),
        ("invariance: {name: a}", ["invariance", "valid tuple"]),
        ("invariance: [upper]", ["invariance, test 1", "valid dictionary"]),
        ("invariance:", ["invariance", "valid tuple"]),
        ("direction: [{name: a, label: b}]", ["test 'a': add: field required"]),
        ("invariance: [{name: a, changes: [typo]}, {name: a, changes: [upper]}]",
         ["two tests are named 'a'"]),
        ("sample: 1000", ["sample", "100"]),
        ("tests: []", ["tests: unknown key", "invariance, direction, templates"]),
        ("extends: defaults", ["extends is 'defaults'", "expected `default`"]),
        ("extends: default\nwords: 3", ["words", "valid dictionary"]),
        ("extends: default\ninvariance: 3", ["invariance", "valid tuple"]),
        ("extends: default\ninvariance: [{name: [1], changes: [upper]}]", ["name", "string"]),
        ("extends: default\ndirection: [{name: b, label: x, add: ['{nope}']}]", ["{nope}"]),
        ("- a", ["holds a list", "a mapping is expected"]),
        ("", ["holds a NoneType", "a mapping is expected"]),
        ("a: [", ["not valid YAML"]),
    ],
)  # fmt: skip
def test_a_wrong_file_says_what_is_wrong(
    load: Callable[[str], Suite], text: str, facts: list[str]
) -> None:
    with pytest.raises(ConfigError) as error:
        load(text)
    message = str(error.value)
    assert "tests.yaml" in message
    for fact in facts:
        assert fact in message


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "tests.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        behaviour_tests.load(tmp_path / "tests.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        behaviour_tests.load(tmp_path)
    with pytest.raises(ConfigError, match=r"evaluation\.behaviour.*Did you mean .*tests\.yaml"):
        behaviour_tests.load(tmp_path / "test.yaml")


def test_a_model_of_sets_is_asked_for_sets() -> None:
    suite = Suite.model_validate(
        {
            "templates": [
                {"name": name, "templates": [{"template": "so late, so rude", "label": label}]}
                for name, label in (
                    ("both", "late|rude"), ("nothing", "none"), ("turned", "rude|late"),
                    ("strange", "late|new"),
                )
            ]
        }
    )  # fmt: skip
    found = behaviour_tests.cases(suite, [], ["late", "rude"], 0, sets=True)
    assert found["test"].tolist() == ["both", "nothing"]
    assert list(behaviour_tests.left_out(suite, found, ["late", "rude"], sets=True)) == [
        "turned", "strange",
    ]  # fmt: skip
    verdicts = behaviour_tests.judge(found, {"so late, so rude": "late|rude"}, 0.95)
    assert [verdict.failures for verdict in verdicts.values()] == [0, 1]
