# ruff: noqa: RUF001 - full-width punctuation is meant
from __future__ import annotations

import pytest

from ingestion_pipeline.chunking.bullets import ARTICLES, FAMILIES, SECTIONS, family_of

CHINESE_PARTS = ["第一编 总则", "第二章 权利", "第三节 责任", "第十二条 公民享有权利", "（一）姓名"]
ARABIC = [
    "第1章 绪论",
    "第2节 方法",
    "1. Introduction",
    "1.2 Methods",
    "1.2.3 Data",
    "1.2.3.4 Sets",
]
CHINESE_CHAPTERS = ["第一章 绪论", "第二节 背景", "一、概述", "（二）范围", "（3）细节"]
ENGLISH = ["PART TWO", "Chapter IV The Sea", "Section 12 Scope", "Article 7 Data"]
MARKDOWN = ["# One", "## Two", "### Three", "#### Four", "##### Five", "###### Six"]


@pytest.mark.parametrize(
    ("family", "lines"),
    list(enumerate([CHINESE_PARTS, ARABIC, CHINESE_CHAPTERS, ENGLISH, MARKDOWN])),
)
def test_a_family_gives_its_lines_their_levels(family: int, lines: list[str]) -> None:
    bullets = [FAMILIES[family].bullet(line) for line in lines]
    assert [bullet and bullet.level for bullet in bullets] == list(range(1, len(lines) + 1))
    assert family_of(lines) is FAMILIES[family]


@pytest.mark.parametrize(
    "line",
    [
        "1.5 million people live here",
        "2019 was a good year",
        "3 apples and a pear",
        "第三条规定的权利",
        "第一章和第二章",
        "Section 3 of this act applies",
        "Chapter 2 describes the method",
        "Partly cloudy",
        "#hashtag"[1:],
        "12.03.2024",
        "",
    ],
)
def test_text_that_begins_with_a_number_is_no_bullet(line: str) -> None:
    assert [family.bullet(line) for family in FAMILIES] == [None] * len(FAMILIES)


def test_one_numbered_line_makes_no_family() -> None:
    assert family_of(["1. One thing", "and another", "and more"]) is None


def test_all_lines_count_not_a_sample() -> None:
    lines = ["一、概述", "二、范围", *ENGLISH[:1] * 200, "# A", *["## B"] * 201]
    assert family_of(lines) is FAMILIES[4]


@pytest.mark.parametrize(
    ("line", "level", "bullet"),
    [
        ("第一编　总则", 1, "第一编"),
        ("Part II Goods", 1, "Part II"),
        ("CHAPTER 3", 2, "CHAPTER 3"),
        ("第三节 责任", 3, "第三节"),
        ("第一百二十条之一 有下列情形", 4, "第一百二十条之一"),
        ("Article 12a. Every person", 4, "Article 12a"),
        ("Art. 5 Scope", 4, "Art. 5"),
        ("§ 433 Vertragstypische Pflichten", 4, "§ 433"),
    ],
)
def test_articles_and_the_titles_above_them(line: str, level: int, bullet: str) -> None:
    found = ARTICLES.bullet(line)
    assert found is not None
    assert (found.level, line[: found.length]) == (level, bullet)


def test_sections_are_the_lowest_level_of_laws_without_articles() -> None:
    found = SECTIONS.bullet("Section 12.3 Powers")
    assert found is not None
    assert found.level == len(SECTIONS.levels)
