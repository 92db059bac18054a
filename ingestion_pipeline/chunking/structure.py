"""Finding the structure of a kind of document that its parser did not see.

Belongs here: what each kind has for headings: bullets, articles, usual names. The text itself stays
as it is, so that offsets keep their meaning. Does not belong here: cutting.
"""

# ruff: noqa: RUF001 - full-width punctuation is meant

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from ingestion_pipeline.chunking.bullets import (
    ARTICLES,
    SECTIONS,
    Family,
    family_of,
    looks_like_heading,
)
from ingestion_pipeline.chunking.contents import without_contents
from ingestion_pipeline.chunking.headings import (
    PROSE,
    Finder,
    Heading,
    Parts,
    lines_of,
    with_headings,
)
from ingestion_pipeline.model.elements import ElementCategory


def unchanged(parts: Parts) -> Parts:
    """Take the parser's word."""
    return parts


# Headings


def by_patterns(parts: Parts, levels: Sequence[Sequence[str]]) -> Parts:
    """Take for headings the lines that match one of a level's patterns, the highest level first."""
    compiled = [[re.compile(pattern) for pattern in patterns] for patterns in levels]

    def find(line: str) -> Heading | None:
        for rank, patterns in enumerate(compiled):
            if any(pattern.match(line) for pattern in patterns):
                return Heading(rank, len(line))
        return None

    return with_headings(parts, find)


def numbered(parts: Parts) -> Parts:
    """Find headings by the family of bullets in use, unless the parser gave some."""
    if sum(part.is_title for part in parts) > 1:
        return parts
    family = family_of(lines_of(parts))
    return parts if family is None else with_headings(parts, _by_bullet(family))


def _by_bullet(family: Family) -> Finder:
    def find(line: str) -> Heading | None:
        bullet = family.bullet(line)
        return Heading(bullet.level, len(line)) if bullet and looks_like_heading(line) else None

    return find


def book(parts: Parts) -> Parts:
    """Leave out the table of contents; find numbered headings."""
    return numbered(without_contents(parts))


# Papers and résumés: sections of known names

_ABSTRACT = re.compile(
    r"(?:abstract|summary|摘\s*要|要\s*旨|초\s*록)(?=\s*$|\s*[:：.—–-])", re.IGNORECASE
)
_PAPER_SECTIONS = re.compile(
    r"(?:introduction|related work|background|methods?|materials and methods|experiments?|"
    r"results|discussion|conclusions?|acknowledge?ments?|references|bibliography|appendix|"
    r"keywords|index terms|引言|绪论|前言|相关工作|方法|实验|结果|讨论|结论|致谢|参考文献|附录|"
    r"关键词)"
    r"(?=\s*$|\s*[:：—])",
    re.IGNORECASE,
)
_RESUME_SECTIONS = re.compile(
    r"(?:(?:professional |career |executive )?(?:summary|profile|objective)|about me|"
    r"(?:contact|personal)(?: (?:information|details|data))?|"
    r"(?:(?:work|professional|relevant) )?(?:experience|history)|employment(?: history)?|"
    r"education(?: and training)?|academic background|qualifications|"
    r"(?:(?:technical|core|key|professional) )?(?:skills|competenc(?:ies|es))|languages|"
    r"(?:(?:personal|selected|key) )?projects|publications|certifications?|certificates|"
    r"licen[cs]es|awards(?: and honou?rs)?|honou?rs(?: and awards)?|achievements|"
    r"volunteer(?:ing| work| experience)?|interests|hobbies|activities|references|"
    r"个人(?:信息|简介|资料|总结|评价)|基本(?:信息|资料)|联系方式|求职意向|自我(?:评价|介绍)|"
    r"教育(?:背景|经历|经验)|(?:工作|实习|项目|实践|校园|社会实践)(?:经历|经验|背景)|职业经历|"
    r"(?:专业|职业)?技能(?:特长)?|语言能力|(?:证书|资格证书|获奖)(?:情况|经历)?|荣誉(?:奖项|证书)?|"
    r"兴趣爱好|培训经历|发表论文|科研经历)\s*[:：]?",
    re.IGNORECASE,
)


def paper(parts: Parts) -> Parts:
    """Give the abstract a heading; find the sections if the parser gave none."""
    found = _numbered_or_named(parts) if sum(part.is_title for part in parts) <= 1 else parts
    if any(part.is_title and _ABSTRACT.match(part.element.text) for part in found):
        return found
    return with_headings(found, _abstract, most=1)


def _numbered_or_named(parts: Parts) -> Parts:
    """Find a paper's headings, by number or by usual name; the latter are of the highest level."""
    family = family_of(lines_of(parts))
    by_bullet: Finder = _by_bullet(family) if family else lambda _: None
    numbered = [heading.rank for heading in map(by_bullet, lines_of(parts)) if heading]
    highest = min(numbered, default=0)

    def find(line: str) -> Heading | None:
        named = _PAPER_SECTIONS.match(line) or _ABSTRACT.match(line)
        return Heading(highest, named.end()) if named else by_bullet(line)

    return with_headings(parts, find)


def _abstract(line: str) -> Heading | None:
    match = _ABSTRACT.match(line)
    return Heading(0, match.end()) if match else None


def resume(parts: Parts) -> Parts:
    """Find the sections that résumés usually have."""

    def find(line: str) -> Heading | None:
        match = _RESUME_SECTIONS.fullmatch(line.strip())
        return Heading(0, len(line.rstrip(" :："))) if match else None

    return with_headings(parts, find)


# Laws


def laws(parts: Parts) -> Parts:
    """Find articles and the titles above them; leave out the table of contents."""
    parts = without_contents(parts)
    lowest = len(ARTICLES.levels)
    bullets = (ARTICLES.bullet(line) for line in lines_of(parts))
    has_articles = any(bullet.level == lowest for bullet in bullets if bullet)
    family = ARTICLES if has_articles else SECTIONS

    def find(line: str) -> Heading | None:
        bullet = family.bullet(line)
        if bullet and looks_like_heading(line):
            return Heading(bullet.level, len(line))
        if bullet and bullet.level == len(family.levels):
            return Heading(bullet.level, bullet.length)
        return None

    return with_headings(parts, find)


# Rows in plain text


def tabbed(parts: Parts) -> Parts:
    """Take paragraphs for tables in which each line has a tab."""
    return [
        replace(part, element=replace(part.element, category=ElementCategory.TABLE))
        if part.element.category in PROSE
        and all("\t" in line for line in part.element.text.split("\n"))
        else part
        for part in parts
    ]
