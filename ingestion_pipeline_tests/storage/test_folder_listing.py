from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from ingestion_pipeline.errors import ErrorKind, PermanentError, TransientError
from ingestion_pipeline.storage import folder_listing
from ingestion_pipeline.storage.folder_listing import FolderLister
from ingestion_pipeline.storage.listing import Found, Patterns, Unknown
from ingestion_pipeline.storage.sources import SourcePolicy

NAMES = ["a-b.txt", "a/1.txt", "a/b/2.txt", "a/b.txt", "a b.txt", "a.txt", "ä/ü.txt", "z.md"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "inbox"
    for name in NAMES:
        write(root / name)
    return root


def write(path: Path, content: str = "words", age_seconds: float = 100) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    then = time.time() - age_seconds
    os.utime(path, (then, then))
    return path


def policy(*roots: Path) -> SourcePolicy:
    return SourcePolicy(roots=roots, max_bytes=1000, allow_private_addresses=False)


def look(
    folder: Path,
    after: str = "",
    patterns: Patterns = Patterns(),  # noqa: B008 - frozen
    *,
    recursive: bool = True,
) -> list[Found | Unknown]:
    lister = FolderLister(folder, patterns, recursive)
    return list(lister.look(policy(folder.parent), after, {}))


def names(folder: Path, found: list[Found | Unknown]) -> list[str]:
    base = folder.as_uri() + "/"
    return [each.uri.removeprefix(base) for each in found]


def test_every_file_is_found_in_the_order_of_the_uris(folder: Path) -> None:
    uris = [each.uri for each in look(folder)]

    assert uris == sorted((folder / name).as_uri() for name in NAMES)


def test_a_look_goes_on_behind_any_place(folder: Path) -> None:
    uris = [each.uri for each in look(folder)]

    for position, uri in enumerate(uris):
        assert [each.uri for each in look(folder, after=uri)] == uris[position + 1 :]


def test_a_signature_changes_with_size_and_time_only(folder: Path) -> None:
    before = {each.uri: each for each in look(folder)}
    assert before == {each.uri: each for each in look(folder)}

    path = write(folder / "a.txt", "words!", age_seconds=100)
    os.utime(folder / "z.md", (5, 5))

    after = {each.uri: each for each in look(folder)}
    changed = {uri for uri, each in after.items() if each != before[uri]}
    assert changed == {path.as_uri(), (folder / "z.md").as_uri()}


def test_what_is_still_being_written_is_there_and_not_settled(folder: Path) -> None:
    write(folder / "new.txt", age_seconds=folder_listing.SETTLED_SECONDS / 4)
    write(folder / "old.txt", age_seconds=folder_listing.SETTLED_SECONDS * 2)
    write(folder / "future.txt", age_seconds=-3600)

    settled = {each.uri: each.settled for each in look(folder) if isinstance(each, Found)}

    assert not settled[(folder / "new.txt").as_uri()]
    assert settled[(folder / "old.txt").as_uri()]
    assert settled[(folder / "future.txt").as_uri()]


def test_folders_below_are_left_out_if_asked(folder: Path) -> None:
    found = look(folder, recursive=False)

    assert names(folder, found) == ["a%20b.txt", "a-b.txt", "a.txt", "z.md"]


def test_patterns_are_about_paths_below_the_folder(folder: Path) -> None:
    found = look(folder, patterns=Patterns(include=("a/**",), exclude=("b",)))

    assert names(folder, found) == ["a/1.txt", "a/b.txt"]


def test_links_are_followed_to_files_inside_only(folder: Path, tmp_path: Path) -> None:
    secret = write(tmp_path / "secret.txt")
    links = folder / "links"
    links.mkdir()
    (links / "in.txt").symlink_to(folder / "z.md")
    (links / "out.txt").symlink_to(secret)
    (links / "broken.txt").symlink_to(folder / "nothing")
    (links / "circle.txt").symlink_to(links / "circle.txt")
    (links / "folder").symlink_to(folder / "a")
    os.mkfifo(links / "pipe.txt")

    found = look(folder, patterns=Patterns(include=("links/**",)))

    assert names(folder, found) == ["links/in.txt"]


def test_names_that_are_no_text_have_uris_like_all_others(folder: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(folder) + b"/\xff.txt"))
    write(path)

    assert (folder.as_uri() + "/%FF.txt") in [each.uri for each in look(folder)]


def test_a_folder_below_that_cannot_be_listed_is_unknown_with_all_in_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deny(folder / "a", monkeypatch)

    found = look(folder)

    unknown = [each for each in found if isinstance(each, Unknown)]
    assert [each.uri for each in unknown] == [folder.as_uri() + "/a/"]
    assert unknown[0].covers((folder / "a/b/2.txt").as_uri())
    assert "Permission denied" in unknown[0].reason
    assert len(found) == len(NAMES) - 3 + 1


def test_a_folder_that_cannot_be_listed_is_a_failure_and_not_empty(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deny(folder, monkeypatch)

    with pytest.raises(TransientError, match="cannot be listed") as caught:
        look(folder)
    assert caught.value.kind is ErrorKind.UNAVAILABLE


def test_a_folder_that_is_gone_is_a_failure_and_not_empty(tmp_path: Path) -> None:
    with pytest.raises(TransientError, match="mounted"):
        look(tmp_path / "nothing")


def test_files_are_looked_for_under_the_roots_only(folder: Path, tmp_path: Path) -> None:
    lister = FolderLister(folder, Patterns(), recursive=True)

    with pytest.raises(PermanentError, match="INGEST_SOURCE_ROOTS"):
        list(lister.look(policy(tmp_path / "elsewhere"), "", {}))


def deny(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deny the listing of a folder, as permissions cannot to whoever runs tests as root."""
    scandir = os.scandir

    def refuse(path: str | Path) -> object:
        if Path(path) == folder:
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(folder_listing.os, "scandir", refuse)
