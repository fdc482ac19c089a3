"""Texts come out of each code page as they went in, or the pages that they may be in are named."""

from __future__ import annotations

import pytest

from incumbent.errors import DataError
from incumbent.recognition import text_encodings

RUSSIAN = "Хороший фильм, очень понравился, всем советую посмотреть"
UKRAINIAN = "Дуже гарний фільм, їжак"
POLISH = "Świetny film, bardzo mi się podobał, żółć"
CZECH = "Dobrý den, příliš žluťoučký kůň"
GREEK = "Άριστη ταινία, πολύ ωραία"
JAPANESE = "良い映画でした。とても面白かったです。"
ONE = [
    (RUSSIAN, ["cp1251", "koi8-r", "iso8859-5", "cp866"]), (UKRAINIAN, ["cp1251", "koi8-u"]),
    (JAPANESE, ["cp932", "euc-jp"]), (POLISH, ["cp1250", "iso8859-2"]),
    (CZECH, ["cp1250", "iso8859-2"]),
    (GREEK, ["cp1253"]), ("הסרט הזה היה מצוין ואני ממליץ עליו לכולם", ["cp1255"]),
    ("فيلم جيد جدا", ["cp1256", "iso8859-6"]), ("这部电影很好看，我很喜欢", ["gb18030"]),
    ("這部電影很好看，我很喜歡", ["big5"]), ("좋은 영화였습니다", ["cp949"]),
    ("หนังดีมาก", ["cp874"]), ("Un bon film, j'ai adoré l'œuvre", ["cp1252", "iso8859-15"]),
]  # fmt: skip
MAC = "C'était très médiocre, à éviter"
WESTERN = [
    "Ein schöner Film, großartig", "Es geht´s „gut“ – 20 m² für 15 €", "It’s a “great” film…",
    "Qué película tan buena, señor", "Não gostei, ação", "En väldigt bra film, på åre",
    "café", "Mjög góð mynd, það var gaman að sjá þetta, ég mæli með", "Über 20°C, ½ Preis",
]  # fmt: skip


def read(text: str, page: str) -> str:
    data = f"id;text\n1;plain\n2;{text}\n".encode(page)
    return text_encodings.decode(data, "a.csv", "auto")[0].splitlines()[2][2:]


@pytest.mark.parametrize(("text", "page"), [(text, page) for text, pages in ONE for page in pages])
def test_each_page_reads_back(text, page):
    assert read(text, page) == text


@pytest.mark.parametrize("text", WESTERN)
def test_texts_of_western_europe_ask_nothing(text):
    assert read(text, "cp1252") == text


@pytest.mark.parametrize(
    ("text", "page", "pages"),
    [
        ("סרט טוב מאוד", "cp1255", ("cp1251", "cp1255")),
        ("Çok güzel bir film, şiddetle öneririm", "cp1254", ("cp1252", "cp1254")),
    ],
)
def test_two_pages_that_fit_alike_are_named(text, page, pages):
    with pytest.raises(DataError) as caught:
        read(text, page)
    said = str(caught.value)
    assert "line 3 may read" in said
    assert f"{'2;' + text!r} ({page})" in said
    assert all(f"({one})" in said for one in pages)
    assert "Set data.encoding" in said


def test_the_page_of_the_mac_where_all_others_have_signs_in_words() -> None:
    assert text_encodings.decode(MAC.encode("mac_roman"), "a.csv", "auto")[0] == MAC
