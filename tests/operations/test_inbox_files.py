"""What is new in a watched place, and what is still being written."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.exceptions import FSTimeoutError
from fsspec.implementations.local import LocalFileSystem

from incumbent.config import Config
from incumbent.errors import DataError, StageError
from incumbent.operations import inbox_files, inbox_judgement
from incumbent.operations.inbox_files import Seen, Watched
from tests.conftest import ROOT

GOOD = "text,label\n" + "".join(f"a text number {i},{'ab'[i % 2]}\n" for i in range(12))


def refusal(source: str, config: Config) -> str:
    """Why a file cannot be added, where no file was before."""
    return inbox_judgement.judged(source, (), "", config).refused


def refusing(config: Config) -> Config:
    """The same, but that one bad row refuses a file."""
    rules = config.validation.model_copy(update={"bad_rows": "refuse"})
    return config.model_copy(update={"validation": rules})


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture
def config(tmp_path: Path) -> Config:
    test = tmp_path / "test.csv"
    test.write_text(GOOD.replace("a text number", "another test"))
    return Config.model_validate(
        {
            "data": {"train": str(tmp_path / "train.csv"), "test": str(test)},
            "tracking": {"workdir": str(tmp_path / "work")},
        }
    )


def new_in(
    inbox: Path, watched: Watched | None = None, seconds: float = 0.05,
    config: Config | None = None,
) -> list[str]:  # fmt: skip
    found = inbox_files.complete(
        str(inbox), watched or Watched(place="x"), seconds, config or Config()
    )
    assert found is not None
    return sorted(found[1])


def having(name: str, seen: Seen) -> Watched:
    """A place that has one file."""
    return Watched(place="x").with_file(name, seen)


def test_a_place_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    assert inbox_files.complete(str(tmp_path / "none"), Watched(place="x"), 0, Config()) is None


def test_hidden_temporary_and_lock_files_are_left_alone(inbox: Path) -> None:
    for name in ("~$a.xlsx", ".a.csv", "a.csv.part", "a.csv.tmp", "a.csv~", "a.xlsx.crdownload"):
        (inbox / name).write_text("x")
    assert new_in(inbox) == []
    (inbox / "a.csv").write_text("x")
    assert new_in(inbox) == ["a.csv"]


def test_a_file_that_grows_is_not_taken(inbox: Path) -> None:
    stop = threading.Event()

    def write() -> None:
        with (inbox / "slow.csv").open("w") as file:
            while not stop.is_set():
                file.write("a line\n")
                file.flush()
                time.sleep(0.02)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while not (inbox / "slow.csv").is_file():
            time.sleep(0.01)
        (inbox / "done.csv").write_text(GOOD)
        assert new_in(inbox, seconds=0.3) == ["done.csv"]
    finally:
        stop.set()
        writer.join()
    assert new_in(inbox, seconds=0.1) == ["done.csv", "slow.csv"]


@pytest.mark.slow
def test_what_was_seen_is_new_only_when_it_changes(inbox: Path, config: Config) -> None:
    path = inbox / "a.csv"
    path.write_text(GOOD)
    found = inbox_files.complete(str(inbox), Watched(place="x"), 0, config)
    assert found is not None
    seen = inbox_files.inspect(str(inbox), "a.csv", found[1]["a.csv"], Watched(place="x"), config)
    watched = found[0].model_copy(update={"files": {"a.csv": seen}})
    assert new_in(inbox, watched, config=config) == []
    path.touch()
    assert new_in(inbox, watched, config=config) == ["a.csv"]  # its contents tell
    path.unlink()
    again = inbox_files.complete(str(inbox), watched, 0, config)
    assert again is not None
    assert again[0].files == {}


def test_a_place_may_be_a_url(config: Config) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/watched/a.csv", GOOD.encode())
    memory.pipe("/watched/.hidden.csv", b"x")
    found = inbox_files.complete("memory://watched/", Watched(place="x"), 0, config)
    assert found is not None
    assert set(found[1]) == {"a.csv"}
    with pytest.raises(DataError, match=r"There is no file memory://watched/gone\.csv"):
        inbox_files.inspect("memory://watched/", "gone.csv", "1", Watched(place="x"), config)
    seen = Seen(
        signature=found[1]["a.csv"],
        digest="d",
        rules=inbox_judgement.rules(config),
        labels=("a", "b"),
    )
    watched = found[0].model_copy(update={"files": {"a.csv": seen}})
    assert inbox_files.complete("memory://watched/", watched, 0, config) == (watched, {})
    memory.pipe("/watched/a.csv", GOOD.encode() + b"one more,a\n")
    changed = inbox_files.complete("memory://watched/", watched, 0, config)
    assert changed is not None
    assert set(changed[1]) == {"a.csv"}


def test_state_is_kept_whole_or_not_at_all(tmp_path: Path) -> None:
    work = tmp_path / "work"
    seen = Seen(signature="1 2", digest="d")
    watched = Watched(place="in", files={"a.csv": seen}, handed_over=("d",), run_id="r")
    assert inbox_files.load("in", work) == Watched(place="in")
    inbox_files.save(watched, "in", work)
    assert inbox_files.load("in", work) == watched
    (file,) = (work / "watched").iterdir()
    file.write_text(file.read_text()[:-5])
    assert inbox_files.load("in", work) == Watched(place="in")
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(StageError, match=r"set tracking\.workdir"):
        inbox_files.save(watched, "in", tmp_path / "taken")


def test_other_rules_judge_anew(inbox: Path, config: Config) -> None:
    (inbox / "a.csv").write_text(GOOD)
    found = inbox_files.complete(str(inbox), Watched(place="x"), 0, config)
    assert found is not None
    wrong = config.model_copy(
        update={"data": config.data.model_copy(update={"label_columns": "sentiment"})}
    )
    refused = inbox_files.inspect(str(inbox), "a.csv", found[1]["a.csv"], Watched(place="x"), wrong)
    assert "has no column 'sentiment'" in refused.refused
    watched = Watched(place="x", files={"a.csv": refused})
    assert new_in(inbox, watched, config=wrong) == []
    assert new_in(inbox, watched, config=config) == ["a.csv"]
    # What no file is judged by is no reason to look again.
    assert inbox_judgement.rules(
        config.model_copy(update={"model_name": "m"})
    ) == inbox_judgement.rules(config)
    stricter = config.validation.model_copy(update={"min_rows": 7})
    assert inbox_judgement.rules(
        config.model_copy(update={"validation": stricter})
    ) != inbox_judgement.rules(config)


def _cut(monkeypatch: pytest.MonkeyPatch, name: str, error: Exception) -> None:
    """Have a file fail to be opened."""
    opens = LocalFileSystem.open

    def fail(self: Any, path: str, *rest: Any, **more: Any) -> Any:
        if str(path).endswith(name):
            raise error
        return opens(self, path, *rest, **more)

    monkeypatch.setattr(LocalFileSystem, "open", fail)


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError("cut"),
        PermissionError(errno.EACCES, "no"),
        OSError(errno.EIO, "broken"),
        FileNotFoundError("gone"),
        FSTimeoutError(),
    ],
)
def test_what_may_pass_refuses_no_file(
    inbox: Path, config: Config, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    (inbox / "a.csv").write_text(GOOD)
    _cut(monkeypatch, "inbox/a.csv", error)
    with pytest.raises(DataError, match=r"a\.csv"):
        inbox_files.inspect(str(inbox), "a.csv", "1", Watched(place="x"), config)
    with pytest.raises(DataError, match=r"a\.csv"):
        refusal(str(inbox / "a.csv"), config)


@pytest.mark.parametrize("cause", ["test set away", "test set wrong", "disk full"])
def test_what_is_wrong_elsewhere_refuses_no_file(
    inbox: Path, config: Config, monkeypatch: pytest.MonkeyPatch, cause: str
) -> None:
    (inbox / "a.csv").write_text(GOOD)
    if cause == "test set away":
        _cut(monkeypatch, "test.csv", ConnectionResetError("cut"))
    elif cause == "test set wrong":
        Path(config.data.test).write_text("no,columns\n1,2\n")
    else:
        Path(config.tracking.workdir).write_text("no folder")
    with pytest.raises(DataError) as raised:
        inbox_files.inspect(str(inbox), "a.csv", "1", Watched(place="x"), config)
    assert "inbox/a.csv has" not in str(raised.value)
    # A file that is wrong itself is refused all the same.
    (inbox / "bad.csv").write_text("a\n")
    assert (
        "bad.csv"
        in inbox_files.inspect(str(inbox), "bad.csv", "1", Watched(place="x"), config).refused
    )


@pytest.mark.slow
def test_a_place_may_have_names_of_the_environment(
    inbox: Path, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INBOX_OF_TEST", inbox.name)
    place = f"file://{inbox.parent}/${{INBOX_OF_TEST}}"
    (inbox / "a.csv").write_text(GOOD)
    found = inbox_files.complete(place, Watched(place="x"), 0, config)
    assert found is not None
    seen = inbox_files.inspect(place, "a.csv", found[1]["a.csv"], Watched(place="x"), config)
    assert (seen.refused, len(seen.digest)) == ("", 64)


def test_a_file_that_waits_is_told_once_a_day() -> None:
    watched, due = inbox_files.untold(Watched(place="in"), ["a.csv", "b.csv"])
    assert due == ["a.csv", "b.csv"]
    watched, due = inbox_files.untold(watched, ["a.csv"])
    assert due == []
    day = timedelta(days=1)
    before = watched.model_copy(update={"told": {k: v - day for k, v in watched.told.items()}})
    assert inbox_files.untold(before, ["a.csv", "b.csv"])[1] == [
        "a.csv",
        "b.csv",
    ]  # b.csv was over


def test_new_is_what_no_run_was_started_for() -> None:
    good, bad = Seen(signature="1", digest="d1"), Seen(signature="2", digest="d2", refused="no")
    watched = Watched(place="in", files={"a.csv": good, "b.csv": bad})
    assert watched.new
    assert watched.accepted == ["a.csv"]
    assert not watched.model_copy(update={"handed_over": ("d1",)}).new
    assert not Watched(place="in", files={"b.csv": bad}).new
    # A file that was taken away starts nothing.
    assert not Watched(place="in", handed_over=("d1",)).new


def test_a_run_is_given_the_accepted_files_beside_its_own(config: Config) -> None:
    good, bad = Seen(signature="1", digest="d1"), Seen(signature="2", digest="d2", refused="no")
    watched = Watched(place="in/", files={"b.csv": good, "c.csv": bad})
    given = {"model_name": "trial", "data": {"test": config.data.test}}
    found = inbox_files.config_with(config, "in/", watched, given)
    data = Config.model_validate(found).data
    assert data.train == (config.data.train, "in/b.csv")
    assert data.test == config.data.test
    assert found["model_name"] == "trial"
    # A deployment that reads the folder itself gets the accepted files of it instead.
    folder = config.model_copy(update={"data": config.data.model_copy(update={"train": "in"})})
    data = Config.model_validate(inbox_files.config_with(folder, "in/", watched, given)).data
    assert data.train == ("in/b.csv",)


def test_a_date_that_is_none_is_the_fault_of_the_file(tmp_path: Path, config: Config) -> None:
    data = config.data.model_copy(update={"date_column": "on"})
    for name, date, fault in (("good", "2026-11-28", ""), ("bad", "soon", "found 'soon'")):
        (tmp_path / f"{name}.csv").write_text(f"text,label,on\none text,a,{date}\n")
        found = inbox_judgement._fault(str(tmp_path / f"{name}.csv"), data)
        assert fault in found
        assert bool(found) == bool(fault)


def test_a_file_that_arrives_later_corrects_those_before_it(config: Config) -> None:
    """Whatever its name; one with other contents arrives anew, one judged anew does not."""
    watched = Watched(place="in")
    for name, digest in (("tickets.csv", "d1"), ("corrections.csv", "d2"), ("tickets.csv", "d1")):
        watched = watched.with_file(name, Seen(signature="1", digest=digest))
    assert watched.accepted == ["tickets.csv", "corrections.csv"]
    data = Config.model_validate(inbox_files.config_with(config, "in", watched, {})).data
    assert data.train == (config.data.train, "in/tickets.csv", "in/corrections.csv")
    assert data.on_disagreement == "latest"
    other = watched.with_file("tickets.csv", Seen(signature="2", digest="d3"))
    assert other.accepted == ["corrections.csv", "tickets.csv"]
    assert Watched.model_validate_json(other.model_dump_json()).accepted == other.accepted
    own = config.data.model_copy(update={"on_disagreement": "majority"})
    given = inbox_files.config_with(config.model_copy(update={"data": own}), "in", watched, {})
    assert Config.model_validate(given).data.on_disagreement == "majority"


@pytest.mark.slow
def test_a_file_is_refused_for_its_own_rows_and_for_no_lack_of_others(
    inbox: Path, config: Config
) -> None:
    config = refusing(config)
    good, empty, leak = (inbox / f"{name}.csv" for name in ("good", "empty", "leak"))
    good.write_text("text,label\none more text,a\n")  # one row of one class
    empty.write_text(GOOD + " ,a\n")
    leak.write_text(GOOD + "another test 3,b\n")
    assert refusal(str(good), config) == ""
    assert "1 row without a text" in refusal(str(empty), config)
    assert "Rows 14." in refusal(str(empty), config)
    assert "1 text of test that train holds too" in refusal(str(leak), config)
    (inbox / "a.docx").write_bytes(bytes(range(32)))
    assert "is no known format" in refusal(str(inbox / "a.docx"), config)
    # Once looked into, it is not read again while its contents are the same.
    seen = inbox_files.inspect(str(inbox), "empty.csv", "1", Watched(place="x"), config)
    again = inbox_files.inspect(str(inbox), "empty.csv", "2", having("empty.csv", seen), config)
    assert (again.signature, again.refused) == ("2", seen.refused)


@pytest.mark.slow
def test_a_file_is_judged_by_the_labels_that_are_known(inbox: Path, config: Config) -> None:
    config = refusing(config)
    (inbox / "a.csv").write_text(GOOD.replace(",a\n", ",A\n", 2) + "nobody labelled this,\n")
    train = Path(config.data.train)  # type: ignore[arg-type]
    train.write_text(GOOD.replace("a text", "one"))
    seen = inbox_files.inspect(str(inbox), "a.csv", "1", Watched(place="x"), config)
    assert "2 rows with the label 'A' (did you mean 'a'?); known are 'a', 'b'" in seen.refused
    assert "Rows 2, 4." in seen.refused
    assert seen.unknown == ("A",)
    # Once somebody knows the label, the same file is accepted.
    assert (
        inbox_files.inspect(str(inbox), "a.csv", "2", having("a.csv", seen), config).refused
        == seen.refused
    )
    train.write_text(GOOD.replace("a text", "one") + "one more,A\n")
    again = inbox_files.inspect(str(inbox), "a.csv", "2", having("a.csv", seen), config)
    assert (again.refused, again.unknown) == ("", ())
    (inbox / "none.csv").write_text("text,label\none,\ntwo,\n")
    refused = refusal(str(inbox / "none.csv"), config)
    assert "none of its 2 rows has a label" in refused


@pytest.mark.slow
def test_labels_of_files_that_were_accepted_before_are_known(inbox: Path, config: Config) -> None:
    """Also after an upgrade, with what an earlier release kept of them."""
    rows = GOOD + "".join(f"a rare text {i},c\n" for i in range(6))
    (inbox / "old.csv").write_text(rows)
    (inbox / "new.csv").write_text(rows.replace("a ", "one "))
    place = str(inbox)
    config = config.model_copy(update={"data": config.data.model_copy(update={"train": place})})
    digest = hashlib.sha256(rows.encode()).hexdigest()
    kept = Seen(signature="1", digest=digest, rules=inbox_judgement.rules(config))
    old = Watched(place="x", files={"old.csv": kept})
    found = inbox_files.complete(place, old, 0, config)
    assert found is not None
    watched, new = found
    assert list(new) == ["old.csv", "new.csv"]
    alone = inbox_files.inspect(place, "new.csv", "1", watched, config)
    assert alone.unknown == ("c",)
    seen = inbox_files.inspect(place, "old.csv", "1", watched, config)
    assert (seen.refused, seen.labels) == ("", ("a", "b", "c"))
    assert inbox_files.inspect(place, "new.csv", "1", having("old.csv", seen), config).refused == ""
    # One that another release refused, after it had been trained on, is taken again.
    refused = alone.model_copy(update={"digest": digest})
    lost = having("old.csv", refused).model_copy(update={"handed_over": (digest,)})
    assert inbox_files.inspect(place, "old.csv", "1", lost, config).refused == ""


def test_a_file_of_unknown_labels_is_new_only_when_more_may_be_known(
    inbox: Path, config: Config
) -> None:
    (inbox / "a.csv").write_text(GOOD + "a rare text,c\n")
    place, train = str(inbox), Path(config.data.train)  # type: ignore[arg-type]
    train.write_text(GOOD.replace("a text", "one"))
    found = inbox_files.complete(place, Watched(place="x"), 0, config)
    assert found is not None
    digest = hashlib.sha256((inbox / "a.csv").read_bytes()).hexdigest()
    seen = Seen(
        signature=found[1]["a.csv"], digest=digest, rules=inbox_judgement.rules(config),
        refused="who knows", unknown=("c",),
    )  # fmt: skip
    assert new_in(inbox, having("a.csv", seen), config=config) == ["a.csv"]
    seen = inbox_files.inspect(place, "a.csv", seen.signature, having("a.csv", seen), config)
    assert (seen.refused, seen.unknown) == ("who knows", ("c",))
    assert new_in(inbox, having("a.csv", seen), config=config) == []
    more = having("a.csv", seen).with_file("b.csv", Seen(signature="", digest="", labels=("c",)))
    assert "a.csv" in new_in(inbox, more, config=config)
    train.write_text(GOOD.replace("a text", "one") + "one more,c\n")
    assert new_in(inbox, having("a.csv", seen), config=config) == ["a.csv"]


def test_what_was_accepted_stays_known_when_it_is_gone() -> None:
    watched = having("a.csv", Seen(signature="1", digest="d", labels=("b", "a")))
    assert watched.labels == ("a", "b")
    watched = watched.with_file("b.csv", Seen(signature="2", digest="e", refused="no"))
    assert watched.without_file("a.csv").labels == ("a", "b")
    assert list(watched.without_file("a.csv").files) == ["b.csv"]


def test_make_clean_leaves_what_was_seen(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    cache = tmp_path / ".incumbent" / "datasets" / "x"
    cache.mkdir(parents=True)
    seen = Watched(place="inbox", run_id="the last")
    inbox_files.save(seen, "inbox", tmp_path / ".incumbent")
    outside = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL")}
    subprocess.run(["make", "clean"], cwd=tmp_path, env=outside, check=True, capture_output=True)
    assert not cache.parent.exists()
    assert inbox_files.load("inbox", tmp_path / ".incumbent") == seen


def test_training_data_without_ids_knows_labels_too(tmp_path: Path, config: Config) -> None:
    (tmp_path / "train.csv").write_text(GOOD.replace(",a\n", ",c\n"))
    data = config.data.model_copy(update={"id_column": "id", "date_column": "day"})
    with_ids = config.model_copy(update={"data": data})
    assert inbox_judgement.learned(["c", "d"], (), "", with_ids)
    assert inbox_judgement.labels_together(["d"], "", with_ids) == ("b", "c", "d")
