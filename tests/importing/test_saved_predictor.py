"""What a saved predictor is, and what is not taken for one; nothing is unpickled here."""

from __future__ import annotations

import pickle
import stat
import zipfile
from pathlib import Path

import pytest

from incumbent.errors import ConfigError
from incumbent.importing import saved_predictor
from incumbent.importing.saved_predictor import MODEL, PICKLE


class Trap:
    """Whoever unpickles it makes a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.file,)


@pytest.fixture
def sprung(tmp_path: Path) -> Path:
    """The file that is there once the pickle was loaded."""
    return tmp_path / "sprung"


@pytest.fixture
def saved(tmp_path: Path, sprung: Path) -> Path:
    """A folder of files as ktrain names them."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / PICKLE).write_bytes(pickle.dumps(Trap(sprung)))
    (folder / MODEL).write_bytes(b"weights")
    return folder


def packed(path: Path, **members: bytes | Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content if isinstance(content, bytes) else content.read_bytes())
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_folder_and_its_zip_are_the_same_predictor(
    saved: Path, sprung: Path, tmp_path: Path
) -> None:
    archive = packed(tmp_path / "a.zip", **{f"top/{f.name}": f for f in saved.iterdir()})
    of_folder = saved_predictor.take(saved_predictor.find(saved), tmp_path / "work")
    of_zip = saved_predictor.take(saved_predictor.find(archive), tmp_path / "work")
    assert of_zip.folder == of_folder.folder
    assert of_zip.digest == of_folder.digest
    assert contents(of_zip.folder) == contents(saved)
    assert not sprung.exists()
    assert not list((tmp_path / "work" / "imports").glob(".draft*"))


def test_the_warning_shows_the_digest_of_what_would_be_unpickled(saved: Path, sprung: Path) -> None:
    import hashlib

    said = saved_predictor.find(saved).warning()
    for name in (PICKLE, MODEL):
        assert f"{hashlib.sha256((saved / name).read_bytes()).hexdigest()}  {name}" in said
    assert "--trust" in said
    assert not sprung.exists()


@pytest.mark.parametrize("folder", [True, False])
def test_what_ktrain_before_0_16_saved_is_found_by_the_name_it_was_given(
    tmp_path: Path, folder: bool
) -> None:
    place = tmp_path / "old"
    (place / "mine").mkdir(parents=True) if folder else place.mkdir()
    (place / "mine.preproc").write_bytes(b"pickle")
    weights = place / "mine" / MODEL if folder else place / "mine"
    weights.write_bytes(b"weights")
    if folder:
        (place / "mine" / "config.json").write_bytes(b"{}")
    expected = {PICKLE: b"pickle", MODEL: b"weights"} | ({"config.json": b"{}"} if folder else {})
    for named in (place / "mine", place):
        taken = saved_predictor.take(saved_predictor.find(named), tmp_path / "work")
        assert contents(taken.folder) == expected


def test_what_is_no_predictor_is_said_to_be_none(saved: Path, tmp_path: Path) -> None:
    def refused(path: Path, part: str) -> None:
        with pytest.raises(ConfigError, match=part):
            saved_predictor.find(path)

    refused(tmp_path / "nowhere", "There is no .*nowhere. Expected is what ktrain's")
    (tmp_path / "text").write_text("a")
    refused(tmp_path / "text", "neither a folder nor a ZIP")
    (saved / MODEL).unlink()
    (saved / "notes.txt").touch()
    refused(saved, f"holds {PICKLE}, and no model beside it; it holds notes.txt, {PICKLE}")
    (saved / PICKLE).unlink()
    refused(saved, f"holds no {PICKLE}; it holds notes.txt. Expected is")


def test_two_predictors_are_not_guessed_between(saved: Path) -> None:
    saved.joinpath("other.preproc").touch()
    with pytest.raises(ConfigError, match=f"holds 2 predictors: other.preproc, {PICKLE}"):
        saved_predictor.find(saved)


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "a\\..\\evil"])
def test_a_zip_that_leads_out_of_its_folder_is_refused(
    saved: Path, tmp_path: Path, name: str
) -> None:
    files: dict[str, bytes | Path] = {f.name: f for f in saved.iterdir()}
    archive = packed(tmp_path / "a.zip", **files, **{name: b"x"})
    with pytest.raises(ConfigError, match="outside of its folder"):
        saved_predictor.find(archive)


def test_a_link_in_a_zip_is_refused(saved: Path, tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.zip", **{f.name: f for f in saved.iterdir()})
    link = zipfile.ZipInfo("config.json")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(archive, "a") as more:
        more.writestr(link, "/etc/passwd")
    with pytest.raises(ConfigError, match=r"holds a link, 'config\.json'"):
        saved_predictor.find(archive)


def test_a_bomb_is_refused_before_it_is_unpacked(saved: Path, tmp_path: Path) -> None:
    files: dict[str, bytes | Path] = {PICKLE: saved / PICKLE, MODEL: bytes(110 << 20)}
    archive = packed(tmp_path / "a.zip", **files)
    with pytest.raises(ConfigError, match="no predictor is packed so well"):
        saved_predictor.find(archive)


def test_a_zip_whose_directory_lies_gives_no_more_than_it_says(saved: Path, tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.zip", **{PICKLE: saved / PICKLE, MODEL: bytes(110 << 20)})
    data = bytearray(archive.read_bytes())
    size = (110 << 20).to_bytes(4, "little")
    at = data.rindex(size)  # of the directory
    data[at : at + 4] = (10).to_bytes(4, "little")
    archive.write_bytes(data)
    with pytest.raises(ConfigError, match=r"The ZIP .* is damaged"):
        saved_predictor.find(archive)


def test_files_that_change_meanwhile_are_not_taken(saved: Path, tmp_path: Path) -> None:
    found = saved_predictor.find(saved)
    (saved / PICKLE).write_bytes(b"another")
    with pytest.raises(ConfigError, match="was changed while it was read"):
        saved_predictor.take(found, tmp_path / "work")
    assert not list((tmp_path / "work" / "imports").iterdir())


def test_the_folder_that_one_is_in_is_found(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(saved)
    assert saved_predictor.find(Path()).pickle_digest == saved_predictor.find(saved).pickle_digest
