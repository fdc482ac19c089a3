"""Which code page a text is in that is not Unicode: told from its letters beyond ASCII.

Nearly any bytes decode in several pages. chardet says how well each fits; where two fit alike and
read differently, what makes no word in one of them decides, or else nobody does.
"""

from __future__ import annotations

import codecs
import io
import re
import unicodedata

import chardet

# By Python's names: what programs of Windows write in some language, and what others did there.
_PAGES = [
    *(f"cp{page}" for page in range(1250, 1259)), "cp874", "cp932", "cp949", "big5", "gb18030",
    "iso8859-2", "iso8859-5", "iso8859-6", "iso8859-7", "iso8859-15", "koi8-u", "cp866", "euc-jp",
]  # fmt: skip
# Not koi8-r, of which koi8-u has all letters, nor iso8859-1, of which cp1252 has all.
_WESTERN = "cp1252"
_MAC = "mac_roman"  # has a sign for every byte, so that it comes last
_ORDINARY = frozenset("àâäáãåæçèéêëìíîïñòóôöõøœßùúûüÿªº")
_SAMPLE = 1 << 20  # bytes of lines that a page is told from
_ALIKE = 0.95  # of the best page's confidence
_NEAR = 0.8  # the same, where Western Europe is concerned, whose languages chardet tells apart less
_MIXED = 0.2  # of the words that are not ASCII
# A page has a letter for nearly every byte; what no text has tells noise from it.
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f-\x9f]")
_WORD = re.compile(r"[^\W\d_]+")
_OWN = ("GREEK", "CYRILLIC", "HEBREW", "ARABIC", "THAI")  # scripts without letters of Latin
_LETTER = r"[^\W\d_]"
_SIGNS = ("So", "Sm", "Sc", "Sk", "No")  # Unicode's categories
_COMMON = frozenset("°©®™€£´")  # signs that stand at words


def told(data: bytes) -> list[str]:
    """The page of a text, or those that it may be in; none if no page has all its bytes."""
    sample = _sample(data)
    found: dict[str, float] = {}
    for one in chardet.detect_all(sample, ignore_threshold=True, include_encodings=_PAGES):
        name = _name(one["encoding"] or "")
        if name in _PAGES:
            found.setdefault(name, one["confidence"])
    found.setdefault(_WESTERN, 0.0)  # if no other has all bytes
    texts: dict[str, str] = {}
    best = 0.0
    for page, confidence in found.items():  # the best first
        if texts and confidence < best * _NEAR:
            break
        if text := _read(data, sample, page):
            texts[page] = text
            best = max(best, confidence)
    if not texts:
        return []
    near = [*texts]
    if _WESTERN in near and _ordinary(texts[_WESTERN]):
        return [_WESTERN]
    if near[0] != _WESTERN:
        near = [page for page in near if found[page] >= best * _ALIKE]
    different: dict[str, str] = {}
    for page in near:
        different.setdefault(texts[page], page)
    return _least_odd(different, _read(data, sample, _MAC))


def _least_odd(different: dict[str, str], of_mac: str) -> list[str]:
    """The pages of texts that have the fewest oddities; the Mac's, where all have some and it none.

    Args:
        different: Page by text.
        of_mac: The text in that page; "" if it makes none.
    """
    odd = {page: _oddities(text) for text, page in different.items()}
    if of_mac and all(odd.values()) and _ordinary(of_mac):
        return [_MAC]
    return [page for page, count in odd.items() if count == min(odd.values())]


def _name(encoding: str) -> str:
    """As Python calls it; "" if it does not know it."""
    try:
        return codecs.lookup(encoding).name.replace("_", "-")
    except LookupError:
        return ""


def _sample(data: bytes) -> bytes:
    """Lines that are not all ASCII."""
    lines, size = [], 0
    for line in io.BytesIO(data):
        if line.isascii():
            continue
        lines.append(line[:_SAMPLE])
        size += len(lines[-1])
        if size > _SAMPLE:
            break
    return b"".join(lines)[:_SAMPLE]


def _read(data: bytes, sample: bytes, page: str) -> str:
    """The sample in a page; "" if it, or the rest of the file, makes no text there."""
    try:
        data.decode(page)
    except UnicodeDecodeError:
        return ""
    text = sample.decode(page, "ignore")  # its end may be half a letter
    if _CONTROL.search(text):
        return ""
    words = [word for word in _WORD.findall(text) if not word.isascii()]
    mixed = sum(map(_mixes, words))
    return text if mixed <= _MIXED * len(words) else ""


def _mixes(word: str) -> bool:
    """Whether a word has letters of Latin, and of a script that stands alone."""
    alone = [unicodedata.name(letter, "").startswith(_OWN) for letter in word]
    return any(alone) and not all(alone)


def _ordinary(text: str) -> bool:
    """Whether all letters are those of Western Europe; those of Iceland are Turkish elsewhere."""
    letters = {c for c in text.lower() if c > "\x7f" and c.isalpha()}
    return letters <= _ORDINARY and not _oddities(text)


def _oddities(text: str) -> int:
    """How many signs stand in words, or in no text at all."""
    signs = {c for c in set(text) - _COMMON if c > "\x7f" and unicodedata.category(c) in _SIGNS}
    count = text.count("¤") + text.count("¦") + len(re.findall(rf"(?<!\w)’(?={_LETTER})", text))
    for sign in signs | {"¶"}:
        behind = "" if sign in "¹²³" else rf"|(?<={_LETTER}){sign}"  # as in m²
        count += len(re.findall(rf"{sign}(?={_LETTER}){behind}", text))
    return count
