"""Folders of texts, one a file, whose labels are the names of the folders."""

from __future__ import annotations

import os
from pathlib import Path

import fsspec
import pytest

from incumbent.config import DataConfig
from incumbent.data import datasets, ingestion
from incumbent.errors import DataError
from incumbent.recognition import folder_labels
from incumbent.tables import training_files


def write(folder: Path, texts: dict[str, str | bytes]) -> str:
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(folder)


def read(folder: str, **config: object) -> list[tuple[str, str, str]]:
    """Label, file and text of each row."""
    files = training_files.expand(folder)
    return [
        (label, training_files.row_in_words(row, files), text)
        for frame in training_files.parts(files, DataConfig(**config))
        for label, row, text in zip(frame["label"], frame["row"], frame["text"], strict=True)
    ]


STRAY = ("Thumbs.db", ".DS_Store", "desktop.ini", "pos/Thumbs.db", "pos/._1.txt", ".git/x/1.txt",
         "neg/~$1.txt", "neg/.2.txt.swp", "__MACOSX/pos/1.txt", "neg/3.txt.part")  # fmt: skip


@pytest.mark.parametrize("above", ["", "train/", "corpus/train/"])
def test_the_label_is_the_name_of_the_folder(tmp_path: Path, above: str) -> None:
    texts = {"pos/1.txt": "Fine.\n", "pos/10.TXT": "Two\nlines\n", "neg/2.txt": "Dull"}
    folder = write(tmp_path, {f"{above}{name}": text for name, text in texts.items()})
    write(tmp_path, dict.fromkeys(STRAY, b"\0\1"))
    expected = [("neg", "neg/2.txt", "Dull"), ("pos", "pos/1.txt", "Fine."),
                ("pos", "pos/10.TXT", "Two\nlines")]  # fmt: skip
    assert read(folder) == read(f"{folder}/") == expected


def test_what_systems_leave_beside_spreadsheets_is_nobodys(tmp_path: Path) -> None:
    folder = write(tmp_path, {"a.csv": "text,label\nFine,pos\n", "~$a.xlsx": "x"})
    write(tmp_path, dict.fromkeys([*STRAY, "pos/1.txt"], b"\0\1"))
    assert training_files.expand(folder) == (f"{folder}/a.csv",)
    names = [name for name in os.listdir(folder) if folder_labels.finished(name)]  # noqa: PTH208
    assert sorted(names) == ["a.csv", "neg", "pos"]


def test_each_file_has_its_own_encoding(tmp_path: Path) -> None:
    russian = "Хороший фильм, очень понравился всем нам"
    german = "Ein schöner Film, großartig gespielt"
    texts = {
        "de/1.txt": german.encode("cp1252"), "de/2.txt": german.encode(), "en/0.txt": b"",
        "en/1.txt": "\ufeffplain".encode("utf-16-le"), "en/2.txt": "plain".encode("utf-16-le"),
        "ru/1.txt": russian.encode("cp1251"), "ru/2.txt": russian.encode("utf-8-sig"),
    }  # fmt: skip
    write(tmp_path, texts)
    assert [text for *_, text in read(str(tmp_path))] == [
        german, german, "", "plain", "plain", russian, russian,
    ]  # fmt: skip


def test_short_texts_are_in_the_page_that_all_are_in(tmp_path: Path) -> None:
    words = ["schön", "groß, aber öde", "Mäuse", "très déjà vu", "naïve"] * 20
    for number, word in enumerate(words):
        write(tmp_path, {f"{'ab'[number % 2]}/{number:03}.txt": word.encode("cp1252")})
    assert sorted(text for *_, text in read(str(tmp_path))) == sorted(words)


def test_a_dataset_of_them(tmp_path: Path) -> None:
    for side in ("train", "test"):
        for number in range(4):
            write(tmp_path / side, {
                f"pos/{number}.txt": f"{side} fine {number}",
                f"neg/{number}.txt": f"{side} {number}",
            })  # fmt: skip
    write(tmp_path / "train", {"unsup/1.txt": "nobody knows", "README.txt": "by hand"})
    write(tmp_path / "train", {"pos/1.pdf": "%PDF"})
    config = DataConfig(train=str(tmp_path / "train"), test=str(tmp_path / "test"))
    dataset = ingestion.ingest(config, tmp_path / "work")
    assert (dataset.train.labels, dataset.train.unlabelled) == ({"neg": 4, "pos": 4}, 1)
    assert "2 files that are no .txt in a folder of a label left out: README" in dataset.notes[0]
    for split in (dataset.train, dataset.test):
        rows = datasets.load(split)["row"].tolist()
        assert training_files.rows_in_words(rows[3:5], split.files) == "neg/3.txt; pos/0.txt"
    assert ingestion.read_before(config, tmp_path / "work") == dataset
    (tmp_path / "test/pos/0.txt").write_text("other")
    assert ingestion.read_before(config, tmp_path / "work") is None


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["train/pos/1.txt", "test/pos/1.txt"], r"no labels. Set data.train .* each .*: .*/train"),
        (["a/pos/1.txt", "b/pos/1.txt"], r"the label of a/pos/1.txt may be 'a' or 'pos'. .*/b\]"),
        (["1.txt", "2.txt"], r"no file that can be read .* \.txt files in sub-folders named by"),
        (["pos/1.txt", "neg/\0.txt"], r"neg/b.txt is no text: it begins with b'\\x00"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, names: list[str], said: str) -> None:
    for name in names:
        write(tmp_path, {name.replace("\0", "b"): b"\0\1\2\3\4" if "\0" in name else "text"})
    with pytest.raises(DataError, match=said) as caught:
        read(str(tmp_path))
    assert str(tmp_path) in str(caught.value)


def test_a_huge_file_is_no_text(tmp_path: Path) -> None:
    write(tmp_path, {"pos/1.txt": "fine", "neg/1.txt": "x"})
    os.truncate(tmp_path / "neg/1.txt", 1 << 40)  # which takes no space
    with pytest.raises(
        DataError, match=r"neg/1\.txt holds 1,099,511,627,776 bytes, and is read as one text"
    ):
        read(str(tmp_path))


def test_columns_are_not_asked_of_them(tmp_path: Path) -> None:
    folder = write(tmp_path, {"pos/1.txt": "fine", "neg/1.txt": "x"})
    with pytest.raises(DataError, match=r"data.label_columns names 'neg', 'pos'"):
        read(folder, label_columns=("pos", "neg"))
    with pytest.raises(DataError, match=r"evaluation.slices names 'source'"):
        list(training_files.parts(training_files.expand(folder), DataConfig(), (), ["source"]))


def test_they_may_be_anywhere() -> None:
    filesystem = fsspec.filesystem("memory")
    for name in ("pos/1.txt", "neg/[1].txt"):
        filesystem.pipe(f"/texts-in-folders/{name}", name.encode())
    expected = [("neg", "neg/[1].txt", "neg/[1].txt"), ("pos", "pos/1.txt", "pos/1.txt")]
    assert read("memory://texts-in-folders") == expected


def test_more_texts_without_a_label_than_are_read_at_once(tmp_path: Path) -> None:
    texts = {f"{('pos', 'neg')[n % 2]}/{n}.txt": f"Film {n}" for n in range(4)}
    folder = write(tmp_path / "train", texts | {f"unsup/{n}.txt": f"Nr. {n}" for n in range(4_005)})
    config = DataConfig(train=folder, test=write(tmp_path / "test", texts))
    assert ingestion.ingest(config, tmp_path / "work").train.unlabelled == 4_005
    (tmp_path / "other").mkdir()
    (tmp_path / "train" / "unsup").rename(tmp_path / "other" / "unsup")
    write(tmp_path / "other", {"unlabelled/1.txt": "One"})
    alone = config.model_copy(update={"train": str(tmp_path / "other")})
    with pytest.raises(DataError, match=r"/other: none of its 4,006 rows has a label"):
        ingestion.ingest(alone, tmp_path / "work")
