"""What labellers find beside their files: pages and workbooks, wherever the inbox is."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import fsspec
import pytest

from incumbent.config import Config
from incumbent.operations import inbox_answers, inbox_files, inbox_judgement, inbox_listing
from incumbent.operations.inbox_files import Seen, Watched
from incumbent.operations.inbox_judgement import Judged
from incumbent.validation.validation_verdict import BadRow
from tests.operations.test_inbox_files import GOOD

LOOKED = "2026-03-01T12:30:00Z"


def seen(**more: object) -> Seen:
    return Seen.model_validate({"signature": "1", "digest": "d", "looked": LOOKED} | more)


def in_part(folder: Path, content: bytes = b"rows to correct", **more: object) -> Seen:
    """What is known of a file of which two rows were set aside."""
    sheet = folder / "sheet.xlsx"
    sheet.write_bytes(content)
    faults = [BadRow(row=n, cells=("text",), reason="There is no text.") for n in (3, 7)]
    return seen(
        rows=40, set_aside=2, faulty=2, faults=faults, workbook=str(sheet), labels=["a"], **more
    )


def test_files_of_sub_folders_are_found_and_what_is_nobodys_is_not(tmp_path: Path) -> None:
    for name in (
        "a.csv", "team/b.csv", "team/more/c.csv", "Thumbs.db", "team/.DS_Store", "desktop.ini",
        "~$a.xlsx", "team/~$b.xlsx", ".hidden/d.csv", "_answers/a.csv.html", "__MACOSX/a.csv",
        "team/_answers/b.csv.to-correct.xlsx", "$RECYCLE.BIN/e.csv", "a.csv - Shortcut.lnk",
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "team" / "circle").symlink_to(tmp_path)
    found = inbox_listing.files(str(tmp_path))
    assert found is not None
    assert list(found) == ["a.csv", "team/b.csv", "team/more/c.csv"]
    assert inbox_listing.files(str(tmp_path / "none")) is None


@pytest.mark.parametrize(
    ("known", "headline", "said"),
    [
        (seen(rows=1), "Taken<", "1 row is taken"),
        (seen(rows=1200, unlabelled=3), "Taken<", "3 rows have no label. That is no mistake"),
        (seen(rows=9, leaked=2), "Taken<", "2 rows are left out: the same texts stand in the test"),
        (seen(rows=9, set_aside=1, faulty=1), "Taken in part", "1 row was set aside"),
        (seen(refused="no", rows=9, faulty=6), "Not taken", "6 of 9 rows need a correction"),
        (seen(refused="x", problems=["It is empty."]), "Not taken", "<li>It is empty.</li>"),
    ],
)  # fmt: skip
def test_a_page_says_what_became_of_a_file(known: Seen, headline: str, said: str) -> None:
    html = inbox_answers.page("team/tickets.xlsx", known)
    assert headline in html
    assert said in html
    assert "1 March 2026, 12:30 UTC" in html
    assert "<h1>tickets.xlsx</h1>" in html


def test_a_page_is_made_of_text_alone(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>{{ 7*7 }}"
    fault = BadRow(row=2, cells=("label",), reason=hostile)
    known = in_part(tmp_path, sheet=["_answers/javascript:alert(1).xlsx", "x"])
    known = known.model_copy(update={"faults": (fault,), "problems": (hostile,)})
    html = inbox_answers.page(f"{hostile}.xlsx", known)
    assert "<script" not in html
    assert "49" not in html
    assert 'href="javascript%3Aalert' in html
    assert "default-src 'none'" in html


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("a.csv has no column 'x'. Set data.text_column and data.label_columns.",
         "a.csv has no column 'x'."),
        ("Labels differ. Write them alike; or set validation.on_similar_labels to warn.",
         "Labels differ. Write them alike."),
        ("None of its 3 rows has a label. Label some of them, or set data.label_columns to where "
         "the labels are.", "None of its 3 rows has a label. Label some of them."),
        ("Set data.sheet.", "Set data.sheet."),
        ("Row 3 is blank, and data.header_row says it has the names. Set data.sheet. Save it.",
         "Row 3 is blank, and data.header_row says it has the names. Save it."),
    ],
)  # fmt: skip
def test_a_labeller_is_told_of_no_settings(message: str, words: str) -> None:
    assert inbox_answers.plain(message) == words


@pytest.mark.parametrize("kind", ["folder", "memory"])
def test_answers_come_and_go_with_their_files(tmp_path: Path, kind: str) -> None:
    place = str(tmp_path / "inbox") if kind == "folder" else "memory://inbox-of-answers"
    system, root = fsspec.core.url_to_fs(place)
    name, folder = "team/a.csv", f"{root}/team/_answers"
    watched = Watched(place=place).with_file(name, in_part(tmp_path))
    watched, reason = inbox_answers.deliver(place, watched)
    assert reason == ""
    known = watched.files[name]
    assert known.sheet[0] == "team/_answers/a.csv.to-correct.xlsx"
    html = system.cat_file(f"{folder}/a.csv.html").decode()
    assert 'href="a.csv.to-correct.xlsx"' in html
    assert system.cat_file(f"{folder}/a.csv.to-correct.xlsx") == b"rows to correct"
    # What is there is not written again; a page that somebody deleted stays deleted.
    system.rm_file(f"{folder}/a.csv.html")
    assert inbox_answers.deliver(place, watched) == (watched, "")
    assert not system.exists(f"{folder}/a.csv.html")

    # A corrected file needs no workbook any more, and its page says something else.
    whole = seen(rows=42, sheet=known.sheet)
    watched, _ = inbox_answers.deliver(place, watched.with_file(name, whole))
    assert b"Taken<" in system.cat_file(f"{folder}/a.csv.html")
    assert not system.exists(f"{folder}/a.csv.to-correct.xlsx")
    inbox_answers.withdraw(place, watched.files)
    assert system.find(root) == []


def test_a_workbook_that_somebody_changed_is_left(tmp_path: Path) -> None:
    place = tmp_path / "inbox"
    watched, _ = inbox_answers.deliver(
        str(place), Watched(place="x").with_file("a.csv", in_part(tmp_path))
    )
    sheet = place / "_answers" / "a.csv.to-correct.xlsx"
    sheet.write_bytes(b"being corrected")
    again = in_part(tmp_path, b"other rows", sheet=watched.files["a.csv"].sheet)
    watched, _ = inbox_answers.deliver(str(place), watched.with_file("a.csv", again))
    assert sheet.read_bytes() == b"being corrected"
    second = place / "_answers" / "a.csv.to-correct-2.xlsx"
    assert second.read_bytes() == b"other rows"
    assert "to-correct-2.xlsx" in (place / "_answers" / "a.csv.html").read_text()
    inbox_answers.withdraw(str(place), watched.files)
    assert [path.name for path in (place / "_answers").iterdir()] == [sheet.name]


def test_a_crash_after_an_answer_was_written_writes_no_second_one(tmp_path: Path) -> None:
    watched = Watched(place="x").with_file("a.csv", in_part(tmp_path))
    first, _ = inbox_answers.deliver(str(tmp_path / "inbox"), watched)
    again, _ = inbox_answers.deliver(str(tmp_path / "inbox"), watched)  # nothing was noted
    assert again == first
    assert len(list((tmp_path / "inbox" / "_answers").iterdir())) == 2


def test_a_place_that_cannot_be_written_to_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "_answers").write_text("in the way, whoever runs this")
    watched = Watched(place="x").with_file("a.csv", in_part(tmp_path))
    found, reason = inbox_answers.deliver(str(tmp_path / "inbox"), watched)
    assert "a.csv" in reason
    assert "could not be" in reason
    assert found == watched
    inbox_answers.withdraw(str(tmp_path / "inbox"), watched.files)
    (tmp_path / "inbox" / "_answers").unlink()
    assert inbox_answers.deliver(str(tmp_path / "inbox"), watched)[1] == ""


def test_a_run_sets_aside_what_the_inbox_did(tmp_path: Path) -> None:
    train, test = tmp_path / "train.csv", tmp_path / "test.csv"
    train.write_text(GOOD)
    test.write_text(GOOD.replace("a text", "a test"))
    given = {"model_name": "m", "validation": {"min_rows": 5}}
    paths = {"train": str(train), "test": str(test)}
    work = {"workdir": str(tmp_path / "work")}
    config = Config.model_validate(given | {"data": paths, "tracking": work})
    whole = Watched(place="in").with_file("a.csv", seen(rows=40, labels=["a", "b"]))
    assert inbox_files.config_with(config, "in", whole, given)["validation"] == {"min_rows": 5}
    partly = whole.with_file("b.csv", in_part(tmp_path))
    found = inbox_files.config_with(config, "in", partly, given)
    assert found["validation"] == {"min_rows": 5, "bad_rows": "set_aside"}
    slips = in_part(tmp_path, unknown=["biling"], asked="x")
    partly = whole.with_file("b.csv", slips.model_copy(update={"labels": ("a", "c")}))
    found = inbox_files.config_with(config, "in", partly, given)
    assert found["validation"] == {
        "min_rows": 5, "bad_rows": "set_aside", "labels": ["a", "b", "c"],
    }  # fmt: skip
    assert Config.model_validate(found).validation.labels == ("a", "b", "c")


def test_a_file_that_was_taken_in_part_is_new_once_all_of_it_is_taken(tmp_path: Path) -> None:
    partly = Watched(place="x").with_file("a.csv", in_part(tmp_path))
    handed = partly.model_copy(update={"handed_over": partly.digests})
    assert not handed.new
    assert handed.with_file("a.csv", seen(rows=42, labels=["a"])).new


@pytest.mark.slow
def test_slips_are_set_aside_and_taken_once_they_are_known(tmp_path: Path) -> None:
    place, train = tmp_path / "inbox", tmp_path / "train.csv"
    place.mkdir()
    train.write_text(GOOD)
    (tmp_path / "test.csv").write_text(GOOD.replace("a text", "a test"))
    paths = {"train": str(train), "test": str(tmp_path / "test.csv")}
    work = {"workdir": str(tmp_path / "work")}
    config = Config.model_validate({"data": paths, "tracking": work})
    file = place / "a.csv"
    file.write_text(GOOD.replace("a text", "one") + "a slip,c\nno text follows,b\n ,a\nlater,\n")
    found = inbox_files.inspect(str(place), "a.csv", "1", Watched(place="x"), config)
    assert (found.refused, found.rows, found.set_aside, found.unlabelled) == ("", 13, 2, 1)
    assert (found.labels, found.unknown) == (("a", "b"), ("c",))
    assert [fault.row for fault in found.faults] == [14, 16]
    assert hashlib.sha256(file.read_bytes()).hexdigest() == found.digest

    # A slip does not become known by having been handed over, nor under another name.
    watched = Watched(place="x").with_file("a.csv", found)
    watched = watched.model_copy(update={"handed_over": watched.digests})
    file.rename(place / "b.csv")
    moved = inbox_files.inspect(str(place), "b.csv", "1", watched, config)
    assert (moved.set_aside, moved.unknown) == (2, ("c",))
    train.write_text(GOOD + "one more,c\n")
    known = inbox_files.inspect(str(place), "b.csv", "1", watched.with_file("b.csv", moved), config)
    assert (known.rows, known.set_aside, known.unknown) == (14, 1, ())


def test_a_file_that_changes_while_it_is_looked_into_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.csv"
    file.write_text(GOOD)
    (tmp_path / "test.csv").write_text(GOOD.replace("a text", "a test"))
    paths = {"train": str(tmp_path / "train.csv"), "test": str(tmp_path / "test.csv")}
    config = Config.model_validate({"data": paths, "tracking": {"workdir": str(tmp_path / "w")}})

    def judged(*_: object, **__: object) -> Judged:
        file.write_text(GOOD + "one more,a\n")
        return Judged()

    monkeypatch.setattr(inbox_judgement, "judged", judged)
    with pytest.raises(inbox_files.Changing):
        inbox_files.inspect(str(tmp_path), "a.csv", "1", Watched(place="x"), config)


def test_one_look_at_a_time(tmp_path: Path) -> None:
    with inbox_files.only_look("in", tmp_path) as first:
        with inbox_files.only_look("in", tmp_path) as second:
            assert (first, second) == (True, False)
        with inbox_files.only_look("other", tmp_path) as other:
            assert other
    with inbox_files.only_look("in", tmp_path) as again:
        assert again


def test_a_file_that_the_deployment_names_itself_is_named_once(tmp_path: Path) -> None:
    place = tmp_path / "inbox"
    (place / "old").mkdir(parents=True)
    for name in ("old/a.csv", "b.csv"):
        (place / name).write_text(GOOD)
    config = Config.model_validate({"data": {"train": str(place / "old"), "test": "test.csv"}})
    watched = Watched(place="x").with_file("old/a.csv", seen(labels=["a"]))
    watched = watched.with_file("b.csv", seen(labels=["a"]))
    data = inbox_files.config_with(config, str(place), watched, {})["data"]
    assert isinstance(data, dict)
    assert data["train"] == [str(place / "old"), str(place / "b.csv")]


@pytest.mark.slow
def test_answers_that_cannot_be_written_are_told_once_and_files_wait_in_words(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks import collect_inbox

    told: list[str] = []
    monkeypatch.setattr(collect_inbox.show, "say", lambda *_: None)
    monkeypatch.setattr(
        collect_inbox.prefect_events,
        "emit",
        lambda event, _, subject, *rest, **more: told.append(subject),
    )
    inbox = here / "inbox"
    inbox.mkdir()
    (inbox / "a.csv").write_text(GOOD)
    config = Config.model_validate({"data": {"train": "train.csv", "test": "test.csv"}})
    target = collect_inbox.Target(name="retrain/x", id="d", api="x", given={}, config=config)

    def look() -> Watched:
        watched = collect_inbox.take.fn("inbox", 0.0, target)
        assert watched is not None
        return watched

    look()  # the test set is not there
    page = inbox / "_answers" / "a.csv.html"
    assert "It waits" in page.read_text()
    (inbox / "a.csv").rename(inbox / "b.csv")
    look()
    assert not page.exists()
    (here / "test.csv").write_text(GOOD.replace("a text", "a test"))
    shutil.rmtree(inbox / "_answers")
    (inbox / "_answers").write_text("in the way")
    told.clear()
    assert [look().unanswered, look().unanswered] == [True, True]
    assert told == ["no answers in inbox"]
    (inbox / "_answers").unlink()
    assert look().accepted == ["b.csv"]
    assert "Taken<" in (inbox / "_answers" / "b.csv.html").read_text()
    (inbox / "b.csv").unlink()
    assert look().files == {}
    assert list((inbox / "_answers").iterdir()) == []
