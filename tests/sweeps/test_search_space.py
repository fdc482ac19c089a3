from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import optuna
import pytest

from incumbent.config import Config
from incumbent.errors import ConfigError
from incumbent.sweeps import search_space
from incumbent.sweeps.search_space import SearchSpace

SPACE: dict[str, Any] = {
    "training.learning_rate": {"low": 1e-5, "high": 5e-4, "log": True},
    "training.epochs": {"low": 1, "high": 4},
    "training.warmup": {"low": 0, "high": 0.5, "step": 0.25},
    "preprocessing.max_length": {"low": 32, "high": 130, "step": 32},
    "training.model": {"choices": ["nbsvm", "logreg"]},
    "training.clip_norm": {"choices": [None, 1.0]},
    "training.freeze_embeddings": {"choices": [True, False]},
}


def drawn(space: SearchSpace, count: int = 40) -> list[dict[str, Any]]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    return [space.suggested(study.ask()) for _ in range(count)]


def test_values_are_of_the_kind_that_their_key_takes_and_within_their_range() -> None:
    values = drawn(SearchSpace.of(SPACE))
    assert {value["training.epochs"] for value in values} == {1, 2, 3, 4}
    assert {value["preprocessing.max_length"] for value in values} == {32, 64, 96, 128}
    assert {value["training.warmup"] for value in values} == {0.0, 0.25, 0.5}
    assert {value["training.clip_norm"] for value in values} == {None, 1.0}
    rates = [value["training.learning_rate"] for value in values]
    assert all(1e-5 <= rate <= 5e-4 for rate in rates)
    assert sum(rate < 7e-5 for rate in rates) > 10  # evenly by the logarithm
    for value in values:
        config = search_space.applied(Config(), value)
        assert config.training.epochs == value["training.epochs"]
        assert isinstance(config.training.freeze_embeddings, bool)
    assert SearchSpace.of(SearchSpace.of(SPACE).written()) == SearchSpace.of(SPACE)


def test_the_order_of_the_file_does_not_matter() -> None:
    turned = SearchSpace.of(dict(reversed(SPACE.items())))
    assert turned.model_dump_json() == SearchSpace.of(SPACE).model_dump_json()


def test_yaml_reads_a_number_without_a_point_as_text(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text("training.learning_rate: {low: 1e-5, high: 1e-3}\n")
    (part,) = SearchSpace.read(tmp_path / "space.yaml").parts.values()
    assert part.ends == (1e-5, 1e-3)


@pytest.mark.parametrize(
    ("key", "given", "message"),
    [
        ("training.learning_rat", {"low": 1, "high": 2}, "did you mean learning_rate?"),
        ("trainin.epochs", {"low": 1, "high": 2}, "trainin: unknown key; did you mean training?"),
        (5, {"low": 1, "high": 2}, "5: unknown key; known keys are model_name"),
        ("training", {"epochs": {"low": 1, "high": 2}}, "this is a section; name a key of it"),
        ("training.seed", {"low": 1, "high": 2}, "must not vary in a sweep: it decides which"),
        ("training.validation_fraction", {"low": 0.1, "high": 0.2}, "must not vary in a sweep"),
        *(
            (key, {"choices": ["a"]}, f"{key}: it must not vary in a sweep: only keys of training")
            for key in (
                "data.text_column", "validation.labels", "promotion.alpha", "model_name",
                "evaluation.seed", "tracking.experiment",
            )
        ),
        ("training.epochs", {"low": 0, "high": 3}, "to 1 or 'auto' (found 0)"),
        ("training.epochs", {"low": 1, "high": 2.5}, "integers are expected (found 2.5)"),
        ("training.weight_decay", {"low": 0, "high": 2}, "less than 1 (found 2.0)"),
        ("training.model", {"choices": ["nbsvm", "svm"]}, "(found 'svm')"),
        ("training.freeze_embeddings", {"low": 0, "high": 1}, "it takes no numbers"),
        ("training.warmup", [0, 1], "{low: ..., high: ...} or {choices: [...]} is expected"),
        ("training.warmup", {"low": 0.1}, "high is missing"),
        ("training.warmup", {"low": 0.2, "high": 0.1}, "low (0.2) is above high (0.1)"),
        ("training.warmup", {"low": 0, "high": 0.1, "log": True}, "log wants it above 0"),
        ("training.clip_norm", {"low": 1, "high": 2, "log": True, "step": 1}, "exclude each other"),
        ("training.keep", {"choises": ["last"]}, "choises is unknown here"),
        ("training.keep", {"choices": []}, "a list of values is expected"),
        ("training.keep", {"choices": ["last", "last"]}, "choices names a value twice"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_key(key: Any, given: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        SearchSpace.of({**SPACE, key: given}, "The space in space.yaml")
    assert str(caught.value).startswith("The space in space.yaml is wrong:\n  ")
    assert len(str(caught.value).splitlines()) == 2


def test_all_mistakes_are_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        SearchSpace.of({"training.a": {}, "training.b": {}})
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "There is no space file"),
        ("", "is empty; a line for each key is expected"),
        ("- a", "holds a list; a mapping of config keys is expected, like `training.learning"),
        ("a: [", "is not valid YAML"),
    ],
)
def test_a_file_that_holds_no_space(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "space.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=re.escape(message)):
        SearchSpace.read(path)


def test_values_that_do_not_go_together_are_refused_with_the_reason() -> None:
    with pytest.raises(ConfigError, match=r"weight_decay is 0\.1, and model nbsvm is trained"):
        search_space.applied(
            Config(), {"training.weight_decay": 0.1, "training.model": "nbsvm"}
        )  # fmt: skip
