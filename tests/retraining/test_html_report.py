import dataclasses
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from incumbent.config import EvaluationConfig
from incumbent.data import agreement
from incumbent.decision.proof_and_ruling import decide
from incumbent.evaluation import plots
from incumbent.evaluation.evaluation_summary import evaluate, top_losses
from incumbent.retraining.html_report import Report, render
from incumbent.title.ledger import entry_of
from tests.evaluation.cases import build, counted

ATTACK = '<script>alert("1")</script>'
CLASSES = ["neg", "pos"]
TRUTH = np.array([0, 1, 0, 1, 1, 0])
PROBABILITIES = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.4, 0.6], [0.5, 0.5], [0.8, 0.2]])
TEXTS = ["fine", "good", ATTACK, "x" * 1000, "so so", "bad"]


class Page(HTMLParser):
    """Tags, their attributes and the text between them; unclosed tags are remembered."""

    VOID = frozenset({"meta", "br", "img"})

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.words, self.open = [], [], [], []
        self.feed(html)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def bare():
    measured = evaluate(TRUTH, PROBABILITIES, CLASSES, EvaluationConfig(bootstrap_samples=100))
    ruling = decide(build(TRUTH, PROBABILITIES, rules={"on_calibration": "off"}))
    return Report(model_name="reviews", ruling=ruling, measured=measured)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return dataclasses.replace(
        bare(),
        version="3",
        champion_version="3",
        baseline_accuracy=0.5,
        data={"train": {"rows": 10160, "digest": "ab12"}, "test": {"rows": 6}},
        findings=[("warn", f"two texts repeat: {ATTACK}")],
        plots=plots.draw(TRUTH, PROBABILITIES, CLASSES, tmp_path_factory.mktemp("plots"), bins=10),
        top_losses=top_losses(TRUTH, PROBABILITIES, TEXTS, CLASSES, 6),
        parameters={"training.learning_rate": 1.5e-4, "training.model": "transformer"},
        timings={"train": 271.3, "validate": 9.44, "all": 7384},
        links={"Run": "http://127.0.0.1:5000/#/runs/1", "Odd": "javascript:alert(1)"},
    )


def test_the_page_tells_the_whole_story(report):
    page = Page(render(report))
    assert not page.open
    for said in (
        "reviews version 3",
        "promoted",
        report.ruling.reason,
        "min accuracy",
        "baseline 50.00%",
        "10,160",
        "ab12",
        "two texts repeat",
        "training.learning_rate",
        "0.00015",
        "4 min 31 s",
        "9.4 s",
        "2 h 3 min",
        "On 6 test rows",
    ):
        assert said in page.text


def test_nothing_in_it_runs_and_everything_is_in_it(report):
    html = render(report)
    page = Page(html)
    assert "script" not in page.tags
    assert "&lt;script&gt;alert(" in html
    assert f"two texts repeat: {ATTACK}" in page.text
    sources = [value for _, name, value in page.attributes if name == "src"]
    assert len(sources) == 4
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert [v for tag, name, v in page.attributes if name == "href"] == [report.links["Run"]]
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]


def test_a_hostile_name_stays_text():
    page = Page(render(dataclasses.replace(bare(), model_name=ATTACK, links={ATTACK: ATTACK})))
    assert "script" not in page.tags
    assert ATTACK in page.text


def test_long_reviews_are_folded_but_whole(report):
    html = render(report)
    assert sum(map(len, re.findall("x{100,}", html))) == 1000
    assert html.count("<summary>") == 1


def test_what_is_not_known_leaves_no_trace():
    page = Page(render(bare()))
    for heading in ("Data", "Plots", "What it got most wrong", "The run", "Look further"):
        assert heading not in page.words
    assert "version" not in page.text


def test_a_model_tested_on_one_class_has_no_auc():
    one = np.zeros(6, int)
    measured = evaluate(one, PROBABILITIES, CLASSES, EvaluationConfig(bootstrap_samples=100))
    assert "ROC AUC" not in render(dataclasses.replace(bare(), measured=measured))


def gates_of(page):
    """The verdict beside each gate's name."""
    shown = re.findall(
        r"<td>([^<]*)</td>\s*<td><span class=\"badge (\w+)\">(\w+)</span></td>", page
    )
    assert all(style == verdict for _, style, verdict in shown)
    return {name: verdict for name, _, verdict in shown}


@pytest.mark.parametrize("kept", ["as a ruling", "as an entry of the ledger"])
def test_gates_that_passed_blocked_and_warned_are_told_apart(kept):
    ruling = decide(counted(800, 50, 90, 60, rules={"on_baseline": "off"}))
    assert ruling.decision == "kept"
    if kept == "as an entry of the ledger":
        ruling = entry_of(
            ruling, after=0, version=2, previous_champion=1, champion=1, time="", who="", reign=1
        )
    html = render(dataclasses.replace(bare(), ruling=ruling, version="2", champion_version="1"))
    assert gates_of(html) == {
        "superiority": "blocked", "round trip": "passed", "one answer": "passed",
        "min accuracy": "passed", "negative flips": "warned", "calibration": "passed",
        "ratchet": "blocked", "slice loss": "passed",
    }  # fmt: skip
    page = Page(html)
    assert "kept" in page.words
    assert "Rule: superiority · champion: version 1" in page.text
    for gate in ruling.gates:
        assert gate.message in page.text


def test_who_agrees_with_whom_is_told_and_no_name_is_markup():
    names = [f"{ATTACK} ann", "bob & co"]
    units, people = np.repeat(np.arange(9), 2), np.tile([0, 1], 9)
    labels = np.array([0, 0, 1, 1, 0, 1] * 3)
    found = agreement.measured(units, people, labels, names, ["<b>late</b>", "rude"])
    assert found is not None
    html = render(dataclasses.replace(bare(), agreement={"train": found}))
    page = Page(html)
    assert not page.open
    assert ATTACK not in html
    assert "<b>late</b>" not in html
    assert "How far people agree: train" in page.text
    assert f"Krippendorff's alpha is {found.alpha:.3f}" in page.text
    assert "2 people labelled it; 9 rows were labelled by two or more" in page.text
    assert f"{ATTACK} ann bob & co 9 66.67% <b>late</b> / rude (3 rows)" in page.text
