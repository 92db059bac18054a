from __future__ import annotations

import gzip
import io
import tarfile

import pytest

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.parsing import parse
from ingestion_pipeline_tests.parsing.further_samples import archive_tar


@pytest.mark.parametrize(
    ("data", "media_type"),
    [(archive_tar(), "application/x-tar"), (archive_tar("w:gz"), "application/gzip")],
)
def test_members_become_attachments(data: bytes, media_type: str) -> None:
    document = parse(data, "a")
    assert document.media_type == media_type
    assert [each.name for each in document.attachments] == ["texts/handbook.md", "rates.csv"]
    assert document.attachments[0].data == b"# Travel"
    assert document.warnings == ()


@pytest.mark.parametrize(
    ("name", "inner"),
    [
        ("rates.csv.gz", "rates.csv"),
        ("rates.CSV.GZ", "rates.CSV"),
        ("rates", "rates"),
        ("", "file"),
        ("../a/rates.tgz", "a/rates.tar"),
    ],
)
def test_a_packed_file_keeps_its_name(name: str, inner: str) -> None:
    (attachment,) = parse(gzip.compress(b"a;b\n1;2\n"), name).attachments
    assert (attachment.name, attachment.data) == (inner, b"a;b\n1;2\n")


def made_of(*members: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(bytes(member.size)))
    return buffer.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    result = tarfile.TarInfo(name)
    result.type, result.linkname = kind, target
    result.size = 3 if kind == tarfile.REGTYPE else 0
    return result


def test_only_files_are_unpacked_and_they_stay_within() -> None:
    data = made_of(
        member("folder", tarfile.DIRTYPE),
        member("link", tarfile.SYMTYPE, "/etc/passwd"),
        member("hard", tarfile.LNKTYPE, "../../../etc/passwd"),
        member("device", tarfile.CHRTYPE),
        member("../../up.txt"),
        member("./.hidden"),
        member("./a.txt"),
    )
    assert [each.name for each in parse(data, "a.tar").attachments] == ["up.txt", "a.txt"]


def test_a_bomb_is_refused_before_all_of_it_is_unpacked() -> None:
    with pytest.raises(PermanentError, match="unpacks from") as raised:
        parse(gzip.compress(bytes(64 * 1024**2)), "a.gz")
    assert raised.value.kind is ErrorKind.TOO_LARGE


def test_a_member_that_declares_more_than_there_can_be_is_refused() -> None:
    liar = member("a.txt")
    liar.size = 1024**4
    with pytest.raises(PermanentError, match="unpacks from") as raised:
        parse(liar.tobuf() + bytes(1024), "a.tar")
    assert raised.value.kind is ErrorKind.TOO_LARGE


def test_too_many_members_are_refused() -> None:
    data = made_of(*(member(f"{number}", tarfile.DIRTYPE) for number in range(10_001)))
    with pytest.raises(PermanentError, match="more than 10,000 files") as raised:
        parse(data, "a.tar")
    assert raised.value.kind is ErrorKind.TOO_LARGE


def test_what_stands_before_the_damage_is_kept() -> None:
    whole = made_of(member("a.txt"), member("b.txt"))
    for cut in (whole[:1537], gzip.compress(whole)[:-8]):
        document = parse(cut, "a.tar")
        assert document.attachments[0].name == "a.txt"
        assert "cut off or damaged" in document.warnings[0]


@pytest.mark.parametrize(
    "data", [b"\x1f\x8b\x08" + bytes(20), archive_tar()[:300] + b"\xff" * 9000]
)
def test_an_archive_of_which_nothing_is_left_is_broken(data: bytes) -> None:
    with pytest.raises(PermanentError, match="damaged") as raised:
        parse(data, "a")
    assert raised.value.kind is ErrorKind.BROKEN


def test_an_archive_of_nothing_is_empty() -> None:
    with pytest.raises(PermanentError) as raised:
        parse(made_of(member("folder", tarfile.DIRTYPE)), "a.tar")
    assert raised.value.kind is ErrorKind.EMPTY
