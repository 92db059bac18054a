from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib

import pytest

from ingestion_pipeline.errors import Ask, ErrorKind, InputNeededError, PermanentError
from ingestion_pipeline.parsing import parse
from ingestion_pipeline_tests.parsing.samples import handbook_docx, zipped


def names(data: bytes) -> list[str]:
    return [each.name for each in parse(data, "a.zip").attachments]


def test_members_become_attachments() -> None:
    document = parse(zipped({"texts/handbook.md": "# Travel", "a.docx": handbook_docx()}), "a.zip")
    handbook, word = document.attachments
    assert document.media_type == "application/zip"
    assert document.elements == ()
    assert (handbook.name, handbook.data, handbook.size) == ("texts/handbook.md", b"# Travel", 8)
    assert parse(word.data, word.name).title == "Travel Handbook"


def test_what_nobody_put_there_to_be_read_is_left_out() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.mkdir("folder")
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        for name in (".DS_Store", "__MACOSX/a.txt", "folder/.git/config", "./folder/a.txt"):
            archive.writestr(name, "x")
    assert names(buffer.getvalue()) == ["folder/a.txt"]


def test_members_cannot_lead_out_of_the_archive() -> None:
    data = zipped({"../../etc/passwd": "x", "/root/a.txt": "x", "C:\\a.txt": "x"})
    assert names(data) == ["etc/passwd", "root/a.txt", "a.txt"]


@pytest.mark.parametrize("members", [{}, {".hidden": "x"}])
def test_an_archive_of_nothing_is_empty(members: dict[str, bytes | str]) -> None:
    with pytest.raises(PermanentError) as raised:
        parse(zipped(members), "a.zip")
    assert raised.value.kind is ErrorKind.EMPTY


@pytest.mark.parametrize(
    ("name", "encoding"), [("größe.txt", "utf-8"), ("旅行手册说明.txt", "gb18030")]
)
def test_names_are_read_in_the_encoding_they_are_written_in(name: str, encoding: str) -> None:
    stand_in = "x" * len(name.encode(encoding))
    data = zipped({stand_in: "a"}).replace(stand_in.encode(), name.encode(encoding))
    assert names(data) == [name]


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    with pytest.raises(PermanentError, match="unpacks from") as raised:
        parse(zipped({"bomb.txt": bytes(64 * 1024**2)}), "a.zip")
    assert raised.value.kind is ErrorKind.TOO_LARGE


def test_too_many_members_are_refused() -> None:
    with pytest.raises(PermanentError, match="more than 10,000 files") as raised:
        parse(zipped({f"{number}.txt": "" for number in range(10_001)}), "a.zip")
    assert raised.value.kind is ErrorKind.TOO_LARGE


def test_a_member_that_gives_more_than_it_declares_is_damaged() -> None:
    data = zipped({"a.txt": bytes(1024**2), "b.txt": "good"})
    lie = data.replace((1024**2).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    document = parse(lie, "a.zip")
    assert [each.name for each in document.attachments] == ["b.txt"]
    assert document.warnings == ("could not be unpacked: a.txt",)


def damaged(data: bytes, text: bytes) -> bytes:
    return data.replace(text, text.upper())


def stored(members: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_a_damaged_member_does_not_lose_the_others() -> None:
    document = parse(damaged(stored({"a.txt": "first", "b.txt": "second"}), b"first"), "a.zip")
    assert [each.data for each in document.attachments] == [b"second"]
    assert document.warnings == ("could not be unpacked: a.txt",)


def test_an_archive_of_damaged_members_is_broken() -> None:
    with pytest.raises(PermanentError, match="no file in the archive") as raised:
        parse(damaged(stored({"a.txt": "first"}), b"first"), "a.zip")
    assert raised.value.kind is ErrorKind.BROKEN


def locked(content: bytes, password: bytes) -> bytes:
    """Return an archive with a member in the encryption that all ZIP programs know (APPNOTE 6)."""
    keys = [0x12345678, 0x23456789, 0x34567890]

    def crc(value: int, byte: int) -> int:
        return zlib.crc32(bytes([byte]), value ^ 0xFFFFFFFF) ^ 0xFFFFFFFF

    def update(byte: int) -> None:
        keys[0] = crc(keys[0], byte)
        keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = crc(keys[2], keys[1] >> 24)

    def encrypted(byte: int) -> int:
        mask = (keys[2] & 0xFFFF) | 2
        update(byte)
        return byte ^ (mask * (mask ^ 1) >> 8 & 0xFF)

    for byte in password:
        update(byte)
    checksum = zlib.crc32(content)
    packed = bytes(map(encrypted, bytes(11) + bytes([checksum >> 24]) + content))
    name = b"secret.txt"
    common = struct.pack("<HHHHIII", 1, 0, 0, 0, checksum, len(packed), len(content))
    local = b"PK\3\4" + struct.pack("<H", 20) + common + struct.pack("<HH", len(name), 0) + name
    central = b"PK\1\2" + struct.pack("<HH", 20, 20) + common
    central += struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0, 0) + name
    end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local) + len(packed), 0)
    return local + packed + central + end


def test_an_encrypted_archive_asks_for_its_password() -> None:
    data = locked(b"The content.", b"canary")
    with pytest.raises(InputNeededError, match="is encrypted") as raised:
        parse(data, "a.zip")
    assert (raised.value.kind, raised.value.asks) == (ErrorKind.ENCRYPTED, Ask.PASSWORD)
    with pytest.raises(InputNeededError, match="this password does not open it") as raised:
        parse(data, "a.zip", "wrong")
    assert "wrong" not in raised.value.message
    (member,) = parse(data, "a.zip", "canary").attachments
    assert (member.name, member.data) == ("secret.txt", b"The content.")


def test_stronger_encryption_is_refused_with_a_reason() -> None:
    data = locked(b"The content.", b"canary").replace(
        struct.pack("<HHH", 1, 0, 0), struct.pack("<HHH", 1, 99, 0)
    )
    with pytest.raises(PermanentError, match="AES") as raised:
        parse(data, "a.zip", "canary")
    assert raised.value.kind is ErrorKind.ENCRYPTED
    assert not isinstance(raised.value, InputNeededError)
