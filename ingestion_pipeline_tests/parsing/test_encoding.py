from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_pipeline.parsing.encoding import decode

JAPANESE = "鋼材の製品データシート。この資料は機械構造用炭素鋼の化学成分を示します。"
CHINESE = "本文介绍了数据处理流水线的设计与实现,包括文档解析、分块和索引。"
FRENCH = "L'élève a été reçu à l'école où règne la liberté, ça va très bien."
GERMAN = "Für die Prüfung müssen größere Übungen gelöst werden \N{EN DASH} „Äpfel“ kosten 3 €."
RUSSIAN = "Этот документ описывает обработку данных и построение индекса для поиска."


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc_jp"),
        (JAPANESE, "iso2022_jp"),
        (CHINESE, "gb18030"),
        (FRENCH, "latin-1"),
        (GERMAN, "cp1252"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8-r"),
        (FRENCH, "utf-8"),
        (FRENCH, "utf-16-le"),
        (GERMAN, "utf-16-be"),
        (GERMAN, "utf-32-le"),
    ],
)
def test_text_without_a_declaration_is_read(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
def test_a_byte_order_mark_wins(mark: bytes, encoding: str) -> None:
    assert decode(mark + JAPANESE.encode(encoding), declared="latin-1") == JAPANESE


def test_a_declaration_that_the_bytes_contradict_is_ignored() -> None:
    assert decode(JAPANESE.encode(), declared="latin-1") == JAPANESE
    assert decode(JAPANESE.encode("shift_jis"), declared="utf-8") == JAPANESE
    assert decode(FRENCH.encode(), declared="no-such-charset") == FRENCH


def test_few_damaged_bytes_do_not_change_the_encoding() -> None:
    data = (JAPANESE * 5).encode()
    assert decode(data[:-1]).startswith(JAPANESE)


@given(st.binary())
def test_any_bytes_give_text(data: bytes) -> None:
    assert isinstance(decode(data), str)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Это документ для проверки. Важные пункты ниже.", "koi8_r"),
        ("你好，世界", "gbk"),  # noqa: RUF001
        ("안녕하세요", "cp949"),
        ("こんにちは", "cp932"),
    ],
)
def test_short_texts_in_old_encodings_are_read(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize("encoding", ["cp1250", "iso8859_2"])
@pytest.mark.parametrize(
    "text",
    [
        "Każda podróż za granicę musi być wcześniej zatwierdzona przez kierownika działu.",
        "Každou cestu do zahraničí předem schvaluje vedoucí oddělení, říká směrnice.",
        "Ďalšie výdavky na každú cestu vopred schvaľuje vedúci oddelenia, hovorí smernica.",
        "Minden külföldi utazást előre jóvá kell hagynia az osztályvezetőnek.",
        "Fiecare călătorie în străinătate este aprobată de şeful departamentului, după raţiune.",
        "Svako putovanje u inozemstvo unaprijed odobrava voditelj, koji žuti čaj ćuti.",
    ],
)
def test_the_languages_of_central_europe_are_read_in_both_of_their_encodings(
    text: str, encoding: str
) -> None:
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize(
    "text",
    [
        "Il est sûr de réussir en août, à Noël.",
        "Em São Paulo põe-se a questão: as ações sobem?",
        "Õppimine öösel",
    ],
)
def test_western_texts_stay_western(text: str) -> None:
    assert decode(text.encode("cp1252")) == text
