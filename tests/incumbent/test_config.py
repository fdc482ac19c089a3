from __future__ import annotations

from pathlib import Path

import pytest

from incumbent import config, reference
from incumbent.config import Config
from incumbent.errors import ConfigError

ROOT = Path(__file__).parents[2]


def written(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_need_no_file() -> None:
    assert config.load() == Config()


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda p: p.name)
def test_every_shipped_config_is_valid(path: Path) -> None:
    assert config.load(path).model_name == path.stem


def test_the_imdb_config_is_the_classic_recipe() -> None:
    recipe = config.load(ROOT / "configs" / "imdb.yaml")
    assert recipe.training.model == "bert"
    assert recipe.preprocessing.max_length == 500
    assert (recipe.training.batch_size, recipe.training.epochs) == (6, 1)
    assert recipe.training.learning_rate == 2e-5
    assert (recipe.data.text_column, recipe.data.label_column) == ("Reviews", "Sentiment")


def test_overrides_are_yaml_and_win_over_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "training: {epochs: 3, seed: 7}")
    loaded = config.load(path, ["training.epochs=2", "training.learning_rate=2e-5",
                                "data.sheet=Reviews", "validation.labels=[neg, pos]"])  # fmt: skip
    assert loaded.training.epochs == 2
    assert loaded.training.seed == 7
    assert loaded.training.learning_rate == 2e-5
    assert loaded.data.sheet == "Reviews"
    assert loaded.validation.labels == ("neg", "pos")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("training: {epoch: 3}", "training.epoch: unknown key; did you mean epochs?"),
        ("trainning: {}", "trainning: unknown key; did you mean training?"),
        ("data: {zzz: 1}", "known keys are train, test"),
        ("training: {epochs: many}", "training.epochs: input should be a valid integer"),
        ("training: {epochs: 0}", "training.epochs: input should be greater than or equal to 1"),
        ("training: {schedule: cosine}", "'onecycle', 'triangular' or 'sgdr'"),
        ("training: {learning_rate: -1}", "training.learning_rate"),
        ("training: {learning_rate: fast}", "training.learning_rate"),
        ("training: 3", "training: input should be a valid dictionary"),
        ("training: {seed: -1}", "training.seed"),
        ("evaluation: {seed: 99999999999}", "evaluation.seed"),
        ("data: {sheet: -1}", "data.sheet"),
        ("data: {text_column: a, label_columns: a}", "are both 'a'"),
        ("model_name: a/b", "model_name"),
        ("data: {train: a.xlsx}", "data.test is not set"),
        ("data: {label_columns: [a, b]}", "label_columns names 2 columns"),
        ("validation: {min_characters: 9, max_characters: 3}", "no text could pass"),
        ("- a\n- b", "holds a list; a mapping of sections is expected"),
        ("a: [", "is not valid YAML"),
    ],
)
def test_a_wrong_config_says_what_is_wrong_and_where(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        config.load(written(tmp_path, text))
    assert said in str(error.value)


def test_every_problem_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        config.load(written(tmp_path, "training: {epochs: 0, batch: 3}\nmodel: x"))
    for part in ("training.epochs", "training.batch", "model: unknown key"):
        assert part in str(error.value)


def test_a_missing_config_names_the_nearest(tmp_path: Path) -> None:
    written(tmp_path, "")
    with pytest.raises(ConfigError, match=r"no config file .*Did you mean .*config\.yaml"):
        config.load(tmp_path / "confg.yaml")


def test_a_folder_is_no_config(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder"):
        config.load(tmp_path)


@pytest.mark.parametrize("override", ["epochs", "=2", "training.epochs.x=1"])
def test_a_malformed_override_is_refused(override: str) -> None:
    with pytest.raises(ConfigError):
        config.load(None, ["training.epochs=1", override])


def test_the_reference_is_up_to_date() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert page == reference.render(), "run `make docs`"


def test_every_key_is_explained() -> None:
    page = reference.render()
    assert "|  |\n" not in page
    assert "<class" not in page
