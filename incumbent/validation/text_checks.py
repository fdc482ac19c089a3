"""The checks of texts, one `Check` for each rule that is not off.

`outline` and `annotate` work out, for every row, what the checks look at; the checks themselves are
data, which `great_expectations_runner` hands to Great Expectations. No check looks at the text
itself: no hostile text reaches a page that would not escape it, and the texts need not fit into
memory.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING

import pandas as pd

from incumbent.data.canonical_text import fold
from incumbent.tables.training_files import row_in_words
from incumbent.validation import label_checks, similar_labels
from incumbent.validation.check_base import Check, Side, count

if TYPE_CHECKING:
    from collections.abc import Iterable

    from incumbent.config import ValidationConfig

Files = tuple[Sequence[str], Sequence[str]]
_MOST_ODD = 0.5  # share of numbers and dates above which the column is not that of the texts


def outline(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """A canonical split, given in parts, without its texts: what `annotate` needs of each row.

    Instead of the text, `text` holds a hash of it: equal where texts are the same, which they are
    when they are after `fold`; None where nothing is left of the text. It has 128 bits (BLAKE2b,
    RFC 7693), so that no two texts that differ will share one, not even if someone tries.
    `characters` counts those of the text, and `wordless` says that it is all digits, punctuation
    and space.
    """
    return pd.concat([_outline(part) for part in parts], ignore_index=True)


def _outline(part: pd.DataFrame) -> pd.DataFrame:
    folded = part["text"].map(fold)
    keys = [blake2b(text.encode(), digest_size=16).digest() if text else None for text in folded]
    return pd.DataFrame(
        {
            "text": pd.Series(keys, index=part.index, dtype=object),
            **{name: part[name] for name in ("label", "row", "found", "formula", "control")},
            "characters": part["text"].str.len(),
            "wordless": _wordless(part["text"]),
        }
    )


def annotate(
    split: pd.DataFrame,
    other: pd.DataFrame,
    known: Sequence[str],
    *,
    sets: bool = False,
) -> pd.DataFrame:
    """The outline of a split with what the checks look at; `other` is that of the other split.

    Adds `length` (characters; null where there is no text), `known_label`, `class_rows` (rows of
    the row's class; null where the label is not known), `similar` and `joined` (see
    `similar_labels.columns_of`), `repeated` (not the first of its kind),
    `conflict` (one text, two labels) and `leaked_from` (the first row of `other` with the same
    text, or 0). A few numbers, dates and texts that are all digits and punctuation are texts: of
    them `found` says "text"; where they are most of the cells, the column is another, and it says
    what they are, "no words" of such texts.

    Where labels are `sets` of the known ones, `class_rows` is the fewest rows that agree with the
    row about any one label (that have it too, or lack it too), and `undivided` counts the labels
    that all rows have or none has; it is the same in each row.
    """
    key = split["text"]
    filled = key.notna()
    label = split["label"].mask(split["label"] == "")
    elsewhere = pd.Series(other["row"].to_numpy(), index=other["text"])
    elsewhere = elsewhere[elsewhere.index.notna() & ~elsewhere.index.duplicated()]
    found = _kinds_of(split["found"], split["wordless"])
    return split.assign(
        found=found,
        length=split["characters"].where(found == "text").astype(float),
        **label_checks.columns_of(split["label"], known, sets=sets),
        **similar_labels.columns_of(split["label"], sets=sets),
        repeated=key.duplicated() & filled,
        conflict=(label.groupby(key).transform("nunique") > 1) & filled,
        leaked_from=key.map(elsewhere).fillna(0).astype(int),
    )


def _kinds_of(found: pd.Series[str], wordless: pd.Series[bool]) -> pd.Series[str]:
    """What the text cells hold, where a few numbers among texts are texts."""
    plain = (found == "text") & wordless
    odd = plain | found.isin(["number", "date", "boolean"])
    if odd.sum() <= _MOST_ODD * (found != "empty").sum():
        return found.mask(odd, "text")
    return found.mask(plain, "no words")


def _wordless(texts: pd.Series[str]) -> pd.Series[bool]:
    """Which texts are all digits, punctuation and space; emoji and other symbols are words."""
    suspects = texts.str.fullmatch(r"[\W\d_]+")
    return suspects & texts.where(suspects, "").map(
        lambda text: all(unicodedata.category(character)[0] in "NPZC" for character in text)
    )


def for_split(
    side: Side,
    config: ValidationConfig,
    known: Sequence[str],
    sample: int | None = None,
    *,
    sets: bool = False,
    files: Files = ((), ()),
) -> list[Check]:
    """The checks of one split, those that are off left out.

    Args:
        side: The split.
        config: What it must satisfy.
        known: Its known labels.
        sample: The rows that `data.sample` left of it, if it had more.
        sets: Whether labels are sets of the known ones.
        files: Of test and of train, where there are several (`Split.files`).
    """
    checks = [
        *_columns(),
        *_cells(config),
        *label_checks.checks_of(side, config, known, sample, sets=sets),
        *similar_labels.checks_of(config, sets=sets),
        *_texts(config),
        *([_leak(config, files)] if side == "test" else []),
    ]
    return [check for check in checks if check.severity != "off"]


def _columns() -> list[Check]:
    return [
        Check(
            f"{column}_column",
            "error",
            f"There is a {column} column.",
            "ExpectColumnToExist",
            {"column": column},
            lambda _: "the column is missing",
            "Delete the working folder and run again",
        )
        for column in ("text", "label")
    ]


def _cells(config: ValidationConfig) -> list[Check]:
    return [
        Check(
            "empty",
            config.on_empty,
            "Every row has a text.",
            "ExpectColumnValuesToNotBeInSet",
            {"column": "found", "value_set": ["empty"]},
            lambda frame: f"{count((frame['found'] == 'empty').sum(), 'row')} without a text",
            "Write the missing texts or delete the rows",
            "on_empty",
        ),
        Check(
            "not_text",
            config.on_not_text,
            "Every cell of the text column holds text: no formula or error, and few numbers.",
            "ExpectColumnValuesToBeInSet",
            {"column": "found", "value_set": ["text", "empty"]},
            lambda frame: f"found {_kinds(frame)} where a text belongs",
            "Check that data.text_column is the right one; paste formulas as values, and put an "
            "apostrophe before a text that begins with =",
            "on_not_text",
        ),
        Check(
            "control",
            config.on_control,
            "No text holds control characters.",
            "ExpectColumnValuesToBeInSet",
            {"column": "control", "value_set": [False]},
            lambda frame: f"{count(frame['control'].sum(), 'text')} with control characters, "
            "which were replaced by spaces",
            "Clean them at their source",
            "on_control",
        ),
    ]  # fmt: skip


def _texts(config: ValidationConfig) -> list[Check]:
    least, most = config.min_characters, config.max_characters
    return [
        Check(
            "length",
            config.on_length,
            f"Every text has {least:,} to {most:,} characters.",
            "ExpectColumnValuesToBeBetween",
            {"column": "length", "min_value": least, "max_value": most},
            lambda frame: f"{count((frame['length'] < least).sum(), 'text')} shorter than "
            f"{least:,} characters and {(frame['length'] > most).sum():,} longer than {most:,}",
            "Correct them, or change validation.min_characters and validation.max_characters",
            "on_length",
        ),
        Check(
            "repeat",
            config.on_repeat,
            "No text stands twice.",
            "ExpectColumnValuesToBeInSet",
            {"column": "repeated", "value_set": [False]},
            lambda frame: f"{count(frame['repeated'].sum(), 'row')} repeating an earlier text",
            "Delete the repetitions",
            "on_repeat",
        ),
        Check(
            "conflict",
            config.on_conflict,
            "Texts that are the same are labelled the same.",
            "ExpectColumnValuesToBeInSet",
            {"column": "conflict", "value_set": [False]},
            lambda frame: f"{count(frame['conflict'].sum(), 'row')} whose text stands "
            "elsewhere, labelled otherwise",
            "Decide how to label each text",
            "on_conflict",
        ),
    ]  # fmt: skip


def _leak(config: ValidationConfig, files: Files) -> Check:
    rule = "error" if config.on_leak == "auto" else config.on_leak  # few were dropped
    return Check(
        "leak",
        "warn" if rule == "drop" else rule,
        "No text of test stands in train too.",
        "ExpectColumnValuesToBeInSet",
        {"column": "leaked_from", "value_set": [0]},
        lambda frame: (
            f"{count((frame['leaked_from'] > 0).sum(), 'text')} of test that train "
            f"holds too ({_pairs(frame, files)})"
        ),
        "Delete them from one of the files, or have them left out of training "
        "(validation.on_leak: drop)",
        "on_leak",
    )


def _kinds(frame: pd.DataFrame) -> str:
    names = {"no words": "text without words", "error": "error or object"}
    counts = frame["found"][~frame["found"].isin(["text", "empty"])].value_counts()
    kinds = [f"{counts[kind]:,} × {names.get(kind, kind)}" for kind in sorted(counts.index)]
    return ", ".join(kinds)


def _pairs(frame: pd.DataFrame, files: Files) -> str:
    leaked = frame[frame["leaked_from"] > 0].head(3)
    pairs = zip(leaked["row"], leaked["leaked_from"], strict=True)
    test, train = files
    return ", ".join(
        f"test row {row_in_words(there, test)} is train row {row_in_words(here, train)}"
        for there, here in pairs
    )
