from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.parsing.attachments import MOST_ATTACHMENTS, Attachments, safe_name


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("a/b.txt", "a/b.txt"),
        ("../../etc/passwd", "etc/passwd"),
        ("/etc/passwd", "etc/passwd"),
        ("C:\\Users\\me\\a.doc", "Users/me/a.doc"),
        ("./a//b/.", "a/b"),
        ("a\nb\x00\x1b[0m.txt", "a b[0m.txt"),
        ("gpj.\u202eexe", "gpj.exe"),
        ("größe 東京.md", "größe 東京.md"),
        ("..", ""),
        ("\x00", ""),
        ("deep/" * 100 + "name.txt", "deep/" * 46 + "name.txt"),
        ("x" * 300 + ".pdf", "x" * 236 + ".pdf"),
    ],
)
def test_names_lead_nowhere_else_and_can_be_shown(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@given(st.text())
def test_any_name_becomes_safe_and_stays_as_it_is_then(name: str) -> None:
    safe = safe_name(name)
    assert len(safe) <= 240
    assert safe.isprintable()
    assert not safe.startswith("/")
    assert ".." not in safe.split("/")
    assert safe_name(safe) == safe


def test_each_attachment_has_a_name_of_its_own() -> None:
    attachments = Attachments()
    for name in ("a.txt", "a.txt", "a (2).txt", "b/a.txt", "a.txt", "", "../"):
        attachments.add(name, name.encode())
    assert [each.name for each in attachments.all()] == [
        "a.txt", "a (2).txt", "a (2) (2).txt", "b/a.txt", "a (3).txt",
        "attachment", "attachment (2)",
    ]  # fmt: skip
    first = attachments.all()[0]
    assert (first.size, first.sha256) == (5, hashlib.sha256(b"a.txt").hexdigest())


def test_there_is_a_most_of_attachments() -> None:
    attachments = Attachments()
    for _ in range(MOST_ATTACHMENTS):
        attachments.add("a.txt", b"")
    with pytest.raises(PermanentError, match="more than 10,000 files") as raised:
        attachments.add("a.txt", b"")
    assert raised.value.kind is ErrorKind.TOO_LARGE
