"""Pretrained weights: the published ones or none, and a clear word on a wrong folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from incumbent.encoders import pretrained_weights
from incumbent.errors import ConfigError, StageError


def test_altered_bundled_weights_are_refused(
    bundled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / bundled.parent.name
    shutil.copytree(bundled, package / "model")
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert pretrained_weights.resolve("bundled") == package / "model"
    with (package / "model" / "model.safetensors").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last[0] ^ 1]))
    with pytest.raises(StageError, match="are not the published ones: SHA-256"):
        pretrained_weights.resolve("bundled")


def test_missing_bundled_weights_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained_weights, "_BUNDLED_PACKAGE", "no_such_package")
    with pytest.raises(StageError, match="not installed: run `make setup`"):
        pretrained_weights.resolve("bundled")


def test_a_folder_without_a_configuration(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(ConfigError, match=r"has neither config.json nor bert_config.json"):
        pretrained_weights.resolve(str(tmp_path))


@pytest.mark.parametrize("configuration", ["config.json", "bert_config.json"])
def test_a_folder_without_weights(tmp_path: Path, configuration: str) -> None:
    (tmp_path / configuration).write_text("{}")
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(ConfigError, match="has a configuration but no weights"):
        pretrained_weights.resolve(str(tmp_path))


def test_a_path_that_is_not_there(tmp_path: Path, here: Path) -> None:
    (here / "a-file").touch()
    for name in (str(tmp_path / "missing"), "./missing", "~/missing-weights", "a-file"):
        with pytest.raises(ConfigError, match="is not a folder"):
            pretrained_weights.resolve(name)


def test_a_folder_is_given_by_its_whole_path(here: Path) -> None:
    folder = here / "xlm-roberta-mine"  # a name that ktrain takes for one of the hub
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").touch()
    assert pretrained_weights.resolve("xlm-roberta-mine") == folder


def test_the_fingerprint_follows_the_contents(tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"1")
    first = pretrained_weights.fingerprint(str(folder))
    shutil.copytree(folder, tmp_path / "copy")
    assert pretrained_weights.fingerprint(str(tmp_path / "copy")) == first
    (folder / "model.safetensors").write_bytes(b"2")
    assert pretrained_weights.fingerprint(str(folder)) != first


@pytest.mark.slow
def test_two_vocabularies_have_two_tokenizers(bundled: Path, tmp_path: Path) -> None:
    folders = []
    for name, extra in (("one", "zzyzx"), ("two", "xyzzy")):
        folder = tmp_path / name
        folder.mkdir()
        words = (bundled / "vocab.txt").read_text("utf-8").splitlines()[:5000]
        (folder / "vocab.txt").write_text("\n".join([*words, extra]) + "\n", encoding="utf-8")
        folders.append(pretrained_weights.tokenizer_folder(folder, tmp_path / "cache"))
    one, two = folders
    assert "zzyzx" in (one / "tokenizer.json").read_text("utf-8")
    assert "xyzzy" in (two / "tokenizer.json").read_text("utf-8")
    assert pretrained_weights.tokenizer_folder(tmp_path / "one", tmp_path / "cache") == one
    assert sorted(x.name for x in one.parent.iterdir()) == sorted([one.name, two.name])
