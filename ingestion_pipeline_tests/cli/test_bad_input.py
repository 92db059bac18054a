"""Bad input: each gives one clear line and a typed error on its task, and nothing else suffers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ingestion_pipeline_tests.cli.terminal import Said, said
from ingestion_pipeline_tests.parsing.samples import handbook_pdf, pdf_without_pages

pytestmark = pytest.mark.xdist_group("cli")  # they share one folder


def submit(*sources: object, collection: str = "mixed") -> Said:
    return said("submit", *map(str, sources), "--collection", collection, "--wait", "--json")


def _file(name: str, content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


BAD = {
    "an empty file": (_file("empty.txt", b""), "empty", "is empty"),
    "a file of blanks": (_file("blank.txt", b" \n\t\n"), "empty", ""),
    "an unknown type": (_file("program.exe", b"MZ\x90\x00\x03" + bytes(64)), "unsupported", ""),
    "a picture with a wrong extension": (
        _file("report.pdf", b"\x89PNG\r\n\x1a\n" + bytes(64)),
        "broken",
        "",
    ),
    "a broken PDF": (_file("broken.pdf", handbook_pdf()[:900]), "broken", ""),
    "a PDF without pages": (_file("nothing.pdf", pdf_without_pages()), "empty", ""),
    "a broken DOCX": (_file("broken.docx", b"PK\x03\x04 no archive"), "broken", ""),
    "a missing file": (lambda folder: folder / "nonesuch.txt", "not_found", "there is no file"),
    "a private address": (
        lambda _: "http://127.0.0.1:1/a.html",
        "forbidden_source",
        "",
    ),
    "this machine by another name": (
        lambda _: "http://localhost/a.html",
        "forbidden_source",
        "",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_source_fails_with_its_kind_and_the_good_one_beside_it_succeeds(
    tmp_path: Path, case: str
) -> None:
    make, kind, words = BAD[case]
    good = tmp_path / "good.txt"
    good.write_text("A good document about harbours.\n")

    ran = submit(make(tmp_path), good)

    assert ran.code == 1
    assert ran.err.splitlines()[-1] == "1 of 2 tasks did not succeed"
    bad_task, good_task = ran.json["tasks"]
    assert (bad_task["state"], bad_task["error"]["kind"]) == ("failed", kind)
    assert words in bad_task["error"]["message"]
    assert "\n" not in bad_task["error"]["message"]
    assert str(bad_task["messages"][-1]).endswith(f"[ERROR] {kind}: {bad_task['error']['message']}")
    assert (good_task["state"], good_task["error"]) == ("succeeded", None)


@pytest.mark.parametrize(
    ("name", "content", "media_type"),
    [
        ("report.txt", handbook_pdf(), "application/pdf"),
        ("report.pdf", b"This is plain text.\n", "text/plain"),
    ],
    ids=["pdf", "text"],
)
def test_a_wrong_extension_does_not_mislead(
    tmp_path: Path, name: str, content: bytes, media_type: str
) -> None:
    (tmp_path / name).write_bytes(content)
    collection = media_type.replace("/", "-")

    assert submit(tmp_path / name, collection=collection).code == 0
    (document,) = said("documents", "--collection", collection, "--json").json
    assert document["media_type"] == media_type


def test_a_file_over_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGEST_MAX_FILE_BYTES", "100")
    (tmp_path / "large.txt").write_text("x" * 101)

    (task,) = submit(tmp_path / "large.txt").json["tasks"]

    assert task["error"]["kind"] == "too_large"
    assert "large.txt has 101 bytes; the limit is 100" in task["error"]["message"]


def test_a_folder_that_contains_itself_is_walked_once(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("A note about loops.\n")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)

    ran = submit(tmp_path, collection="loops")

    assert ran.code == 0
    assert len(ran.json["tasks"]) == 1


def test_an_empty_folder_is_no_task_and_no_error(tmp_path: Path) -> None:
    ran = submit(tmp_path, collection="none")

    assert (ran.code, ran.json["tasks"]) == (0, [])


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("task", "nonesuch"), "not_found: there is no task 'nonesuch': see `ingest tasks`"),
        (("watch", "nonesuch"), "not_found: there is no task or batch 'nonesuch': see `ingest "),
        (("cancel", "nonesuch"), "not_found: there is no task or batch 'nonesuch': see `ingest "),
        (("retry", "nonesuch"), "not_found: there is no task or batch 'nonesuch': see `ingest "),
        (("retry", "-c", "nonesuch", "--failed"), "not_found: there is no collection"),
        (("delete", "x", "--collection", "nonesuch"), "not_found: there is no collection"),
        (
            ("search", "x", "--collection", "nonesuch"),
            "not_found: there is no collection 'nonesuch': create it with `ingest collections",
        ),
        (("documents", "--collection", "nonesuch"), "not_found: there is no collection"),
        (("tasks", "--collection", "nonesuch"), "not_found: there is no collection"),
        (("reindex", "--collection", "nonesuch"), "not_found: there is no collection"),
        (("operations", "--collection", "nonesuch"), "not_found: there is no collection"),
        (("collections", "show", "nonesuch"), "not_found: there is no collection"),
        (("collections", "delete", "nonesuch"), "not_found: there is no collection"),
        (("collections", "create", "handbook"), "invalid_option: collection 'handbook' exists"),
        (("collections", "create", "Bad Name"), "invalid_option: 'Bad Name' is not a valid name"),
        (
            ("collections", "configure", "handbook", "--set", "chunk_token=64"),
            "invalid_option: unknown collection option 'chunk_token'; did you mean 'chunk_tokens'?",
        ),
        (
            ("collections", "configure", "handbook", "--set", "chunk_tokens=two"),
            "invalid_option: collection option 'chunk_tokens': ",
        ),
        (
            ("collections", "configure", "handbook", "--set", "chunk_tokens"),
            "invalid_option: 'chunk_tokens' is not of the form key=value",
        ),
        (
            ("submit", "x.txt", "--collection", "handbook", "--option", "colour=red"),
            "invalid_option: ingest task: colour: ",
        ),
        (
            ("search", "x", "--collection", "handbook", "--filter", "name = 'a' OR"),
            "invalid_option: ",
        ),
        (
            ("search", "x", "--collection", "handbook", "--filter", "secret = 1"),
            "invalid_option: ",
        ),
        (
            ("evaluate", "--collection", "handbook", "--queries", "nonesuch.jsonl"),
            "not_found: there is no file nonesuch.jsonl",
        ),
        (("dead-letters", "--requeue", "7-0"), "not_found: there is no dead letter '7-0'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
@pytest.mark.parametrize("as_json", [(), ("--json",)], ids=["", "json"])
def test_what_cannot_be_done_is_one_line_on_stderr(
    arguments: tuple[str, ...], line: str, as_json: tuple[str, ...]
) -> None:
    assert said(*arguments, *as_json).error.startswith(f"error: {line}")


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonesuch",),
        ("--nonesuch",),
        ("search", "x"),
        ("search", "x", "--collection", "handbook", "--mode", "psychic"),
        ("search", "x", "--collection", "handbook", "--k", "0"),
        ("tasks", "--state", "bored"),
        ("submit", "--collection", "handbook"),
        ("reindex", "--collection", "handbook", "--only", "some"),
        ("cancel",),
        ("retry",),
        ("retry", "--failed"),
        ("retry", "--collection", "handbook"),
        ("retry", "x", "--collection", "handbook", "--failed"),
        ("reply",),
        ("delete", "x"),
        ("delete", "--collection", "handbook"),
        ("up", "--port", "0"),
        ("up", "--port", "http"),
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2(arguments: tuple[str, ...]) -> None:
    ran = said(*arguments)

    assert (ran.code, ran.out) == (2, "")
    assert "Usage: " in ran.err


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("INGEST_DOC_BULK_SIZE", "many", "the setting INGEST_DOC_BULK_SIZE cannot be used: "),
        ("INGEST_LEASE_SECONDS", "-1", "the setting INGEST_LEASE_SECONDS cannot be used: "),
        ("INGEST_DATABASE_URL", "nonsense", "INGEST_DATABASE_URL is not a URL of "),
        ("INGEST_REDIS_URL", "nonsense", "INGEST_REDIS_URL is not a URL of Redis"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, line: str
) -> None:
    monkeypatch.setenv(variable, value)

    assert said("dead-letters" if "REDIS" in variable else "tasks").error.startswith(
        f"error: invalid_option: {line}"
    )


def test_a_state_folder_that_is_none_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("INGEST_STATE_DIR", str(tmp_path / "file"))

    assert said("tasks").error.startswith("error: unavailable: ")
