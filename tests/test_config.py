from __future__ import annotations

from pathlib import Path

import pytest

from incumbent import config_loading
from incumbent.cli import config_reference
from incumbent.config import Config
from incumbent.data import embedded_reviews
from incumbent.errors import ConfigError

ROOT = Path(__file__).parents[1]


def written(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_need_no_file() -> None:
    assert config_loading.load() == Config()


def test_make_retrain_trains_what_no_config_does() -> None:
    shipped = config_loading.load(ROOT / "configs" / "reviews.yaml")
    assert shipped.data.text_column == embedded_reviews.TEXT_COLUMN
    assert shipped.data.label_columns == embedded_reviews.LABEL_COLUMN
    assert shipped.model_copy(update={"data": Config().data}) == Config()


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda p: p.name)
def test_every_shipped_config_is_valid(path: Path) -> None:
    assert config_loading.load(path).model_name == path.stem


def test_the_imdb_config_is_the_classic_recipe() -> None:
    recipe = config_loading.load(ROOT / "configs" / "imdb.yaml")
    assert recipe.training.model == "bert"
    assert recipe.preprocessing.max_length == 500
    assert (recipe.training.batch_size, recipe.training.epochs) == (6, 1)
    assert recipe.training.learning_rate == 2e-5
    assert (recipe.data.text_column, recipe.data.labels_in) == ("Reviews", ("Sentiment",))


def test_overrides_are_yaml_and_win_over_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "training: {epochs: 3, seed: 7}")
    loaded = config_loading.load(path, ["training.epochs=2", "training.learning_rate=2e-5",
                                "data.sheet=Reviews", "validation.labels=[neg, pos]"])  # fmt: skip
    assert loaded.training.epochs == 2
    assert loaded.training.seed == 7
    assert loaded.training.learning_rate == 2e-5
    assert loaded.data.sheet == "Reviews"
    assert loaded.validation.labels == ("neg", "pos")


def test_off_is_no_false(tmp_path: Path) -> None:
    # YAML 1.1 reads a bare off as false.
    overrides = ["validation.on_leak=off", "validation.on_empty='off'", "promotion.on_slices=off"]
    path = written(tmp_path, "validation: {on_repeat: off}\npromotion: {on_ratchet: off}")
    loaded = config_loading.load(path, overrides)
    validation, promotion = loaded.validation, loaded.promotion
    assert (validation.on_leak, validation.on_empty, validation.on_repeat) == ("off",) * 3
    assert (promotion.on_slices, promotion.on_ratchet) == ("off", "off")
    # What is read as true is no action at all.
    with pytest.raises(ConfigError, match=r"promotion\.on_slices: .*'block', 'warn' or 'off'"):
        config_loading.load(None, ["promotion.on_slices=on"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("training: {epoch: 3}", "training.epoch: unknown key; did you mean epochs?"),
        ("trainning: {}", "trainning: unknown key; did you mean training?"),
        ("data: {zzz: 1}", "known keys are train, test"),
        (
            "training: {epochs: many}",
            "training.epochs: input should be an integer or 'auto' (found 'many')",
        ),
        ("training: {epochs: 0}", "training.epochs: input should be greater than or equal to 1"),
        ("training: {schedule: cosine}", "'sgdr', 'constant', 'linear' or 'plateau'"),
        (
            "training: {schedule: sgdr, epochs: 4, cycle_growth: 2}",
            "epochs is 4, in the middle of a cycle of schedule sgdr (cycle_epochs 1, cycle_growth "
            "2); set it to 3 or 7",
        ),
        ("training: {schedule: sgdr, epochs: 2, cycle_epochs: 5}", "set it to 5"),
        (
            "training: {model: nbsvm, weight_decay: 0.01}",
            "weight_decay is 0.01, and model nbsvm is trained without one",
        ),
        ("training: {clip_norm: 0}", "training.clip_norm: input should be greater than 0"),
        ("training: {learning_rate: -1}", "input should be greater than 0 or 'auto' (found -1)"),
        ("training: {learning_rate: fast}", "input should be a number or 'auto' (found 'fast')"),
        ("training: 3", "training: this is a section, with the keys model, weights, "),
        ("data: {text_column: }", "data.text_column: input should be text or a list (found None)"),
        ("data: {label_columns: 3}", "data.label_columns: input should be text or a list (found 3"),
        ("training: {seed: -1}", "training.seed"),
        ("evaluation: {seed: 99999999999}", "evaluation.seed"),
        ("data: {sheet: -1}", "data.sheet"),
        ("promotion: {max_size_ratio: .inf}", "promotion.max_size_ratio: input should be a finite"),
        ("promotion: {min_accuracy: .nan}", "promotion.min_accuracy"),
        ("promotion: {on_latency: error}", "'block', 'warn' or 'off'"),
        ("data: {text_column: a, label_columns: a}", "both name 'a'"),
        ("model_name: a/b", "model_name: letters, digits, '.', '_' and '-' are expected"),
        ("data: {train: a.xlsx}", "data.test is not set"),
        ("data: {label_columns: []}", "label_columns names no column"),
        ("data: {label_columns: [a, b, a]}", "'a' is there twice"),
        ("data: {label_columns: [a, text]}", "both name 'text'"),
        ("data: {label_columns: [a, b|c]}", "'b|c' holds '|'"),
        ("data: {label_columns: [a, none]}", "'none' stands for a row without labels"),
        ("data: {label_columns: [a, ' b']}", "' b' is blank, or begins"),
        ('data: {label_columns: [a, "b\\x07"]}', "holds control characters"),
        (
            "data: {label_columns: [b, a]}\nvalidation: {labels: [a, c]}",
            "validation.labels names a, c and data.label_columns a, b",
        ),
        ("validation: {min_characters: 9, max_characters: 3}", "no text could pass"),
        ("evaluation: {slices: [class, length, class]}", "slices names 'class' twice"),
        ("evaluation: {slices: [' ']}", "slices names ' ' as a column"),
        ("evaluation: {slices: class}", "evaluation.slices"),
        ("- a\n- b", "holds a list; a mapping of sections is expected"),
        ("a: [", "is not valid YAML"),
    ],
)
def test_a_wrong_config_says_what_is_wrong_and_where(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        config_loading.load(written(tmp_path, text))
    assert said in str(error.value)


def test_several_label_columns_are_the_labels_sorted() -> None:
    data = config_loading.load(None, ["data.label_columns=[rude, late]"]).data
    assert data.label_names == ("late", "rude")
    assert data.labels_in == ("rude", "late")
    for one in ("mood", "[mood]"):
        data = config_loading.load(None, [f"data.label_columns={one}"]).data
        assert (data.labels_in, data.label_names) == (("mood",), ())


def test_every_problem_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        config_loading.load(written(tmp_path, "training: {epochs: 0, batch: 3}\nmodel: x"))
    for part in ("training.epochs", "training.batch", "model: unknown key"):
        assert part in str(error.value)


def test_one_line_a_key() -> None:
    overrides = ["training.learning_rate=fast", "data.sheet=-1", "data.label_columns=[1]"]
    with pytest.raises(ConfigError) as error:
        config_loading.load(None, overrides)
    lines = [line.strip().partition(":")[0] for line in str(error.value).splitlines()[1:]]
    assert lines == ["data.sheet", "data.label_columns.0", "training.learning_rate"]


def test_a_wrong_key_is_blamed_on_whoever_gave_it(tmp_path: Path) -> None:
    path = written(tmp_path, "training: {epochs: 0, seed: -1}")
    with pytest.raises(ConfigError) as error:
        config_loading.load(path, ["trainig.epochs=2", "training.seed=1"])
    of_file, given = str(error.value).split("What --set gives is wrong:")
    assert of_file.startswith(f"The config in {path} is wrong:")
    assert "training.epochs" in of_file
    assert "trainig: unknown key" not in of_file
    assert "trainig: unknown key" in given
    assert "training." not in given
    with pytest.raises(ConfigError, match=r"^What --set gives is wrong:"):
        config_loading.load(written(tmp_path, ""), ["trainig.epochs=2"])


def test_a_blank_value_is_the_empty_text(tmp_path: Path) -> None:
    path = written(tmp_path, "data: {train: a.csv, test: b.csv}\nevaluation: {behaviour: }")
    loaded = config_loading.load(path, ["data.train=", "data.test=", "tracking.artifacts="])
    assert (loaded.data.train, loaded.data.test) == ("", "")
    assert (loaded.evaluation.behaviour, loaded.tracking.artifacts) == ("", "")


def test_a_missing_config_names_the_nearest(tmp_path: Path) -> None:
    written(tmp_path, "")
    with pytest.raises(ConfigError, match=r"no config file .*Did you mean .*config\.yaml"):
        config_loading.load(tmp_path / "confg.yaml")
    with pytest.raises(ConfigError, match=r"no config file .*fig_2024\.yaml\.$"):
        config_loading.load(tmp_path / "fig_2024.yaml")


def test_a_folder_is_no_config(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder"):
        config_loading.load(tmp_path)


@pytest.mark.parametrize("override", ["epochs", "=2", "training.epochs.x=1"])
def test_a_malformed_override_is_refused(override: str) -> None:
    with pytest.raises(ConfigError):
        config_loading.load(None, ["training.epochs=1", override])


def test_the_reference_is_up_to_date() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert page == config_reference.render(), "run `make docs`"


def test_every_key_is_explained() -> None:
    page = config_reference.render()
    assert "|  |\n" not in page
    assert "<class" not in page
