from __future__ import annotations

import pytest

from ingestion_pipeline.storage.listing import Patterns, Unknown


@pytest.mark.parametrize(
    ("include", "path", "taken"),
    [
        ((), "a.pdf", True),
        ((), "b/c/a.pdf", True),
        (("*.pdf",), "a.pdf", True),
        (("*.pdf",), "b/c/a.pdf", True),
        (("*.pdf",), "a.pdf.txt", False),
        (("b/*.pdf",), "b/a.pdf", True),
        (("b/*.pdf",), "b/c/a.pdf", False),
        (("/b/*.pdf",), "b/a.pdf", True),
        (("b/**/*.pdf",), "b/a.pdf", True),
        (("b/**/*.pdf",), "b/c/d/a.pdf", True),
        (("b/**",), "b/c/d/a.pdf", True),
        (("report-?.md",), "report-1.md", True),
        (("report-?.md",), "report-12.md", False),
        (("a+b (1).txt",), "a+b (1).txt", True),
        (("*.md", "*.txt"), "x/notes.txt", True),
    ],
)
def test_patterns_say_which_files_are_wanted(
    include: tuple[str, ...], path: str, taken: bool
) -> None:
    assert Patterns(include).takes(path) is taken


@pytest.mark.parametrize(
    ("exclude", "path", "taken"),
    [
        (("drafts",), "drafts/a.md", False),
        (("drafts",), "b/drafts/c/a.md", False),
        (("drafts",), "drafts.md", True),
        (("b/drafts",), "b/drafts/a.md", False),
        (("b/drafts",), "c/b/drafts/a.md", True),
        (("drafts/**",), "drafts/c/a.md", False),
        (("*.tmp",), "a.tmp", False),
    ],
)
def test_what_excludes_a_folder_excludes_what_is_in_it(
    exclude: tuple[str, ...], path: str, taken: bool
) -> None:
    assert Patterns(exclude=exclude).takes(path) is taken


@pytest.mark.parametrize("path", [".env", ".git/config", "a/.cache/b.txt"])
def test_hidden_files_are_wanted_only_if_somebody_says_so(path: str) -> None:
    assert not Patterns().takes(path)
    assert Patterns(hidden=True).takes(path)


@pytest.mark.parametrize("path", ["~$report.docx", "a/b.part", "Thumbs.db"])
def test_what_programs_leave_behind_is_not_wanted(path: str) -> None:
    assert not Patterns().takes(path)


def test_an_unknown_folder_covers_what_is_in_it_and_an_unknown_file_itself() -> None:
    folder, file = Unknown("file:///a/b/", "why"), Unknown("file:///a/b", "why")

    assert folder.covers("file:///a/b/c/d.txt")
    assert not folder.covers("file:///a/bc")
    assert file.covers("file:///a/b")
    assert not file.covers("file:///a/b2")
