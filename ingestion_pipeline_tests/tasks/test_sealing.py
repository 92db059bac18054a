from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.settings import Settings
from ingestion_pipeline.tasks.sealing import KEY_FILE, Sealer

CANARY = "canary-of-the-sealer"
IN_MEMORY = Sealer(Settings(secret_key=Fernet.generate_key().decode()))


def sealer(folder: Path, secret_key: str | None = None) -> Sealer:
    return Sealer(Settings(state_dir=folder, secret_key=secret_key))


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@given(st.text(st.characters()))
def test_what_is_sealed_can_be_opened(text: str) -> None:
    sealed = IN_MEMORY.seal(text)
    assert sealed.isascii()
    assert IN_MEMORY.open(sealed) == text


def test_a_sealed_answer_does_not_show_it_nor_that_it_is_the_same() -> None:
    assert CANARY not in IN_MEMORY.seal(CANARY)
    assert IN_MEMORY.seal(CANARY) != IN_MEMORY.seal(CANARY)


@pytest.mark.usefixtures("open_umask")
def test_the_key_file_is_made_on_first_use_for_our_user_alone(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    first = sealer(folder)
    assert not folder.exists()
    sealed = first.seal(CANARY)
    (key,) = folder.iterdir()
    assert key.name == KEY_FILE
    assert key.stat().st_mode & 0o777 == 0o600
    assert sealer(folder).open(sealed) == CANARY


def test_processes_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from ingestion_pipeline_tests.tasks.test_sealing import sealer\n"
        "print(flush=True); sys.stdin.readline()\n"
        f"print(sealer(Path({str(tmp_path)!r})).seal('a'))\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    sealed = [process.communicate()[0].strip() for process in processes]
    assert [sealer(tmp_path).open(each) for each in sealed] == ["a"] * 4
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    sealer(tmp_path).seal("a")
    (tmp_path / KEY_FILE).chmod(mode)
    with pytest.raises(PermanentError, match=rf"mode {mode:04o}\): remove it") as raised:
        sealer(tmp_path).seal("a")
    assert raised.value.kind is ErrorKind.INVALID_OPTION


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 44])
def test_a_key_file_without_a_key_says_what_to_do(tmp_path: Path, content: bytes) -> None:
    sealer(tmp_path).seal("a")
    (tmp_path / KEY_FILE).write_bytes(content)
    with pytest.raises(PermanentError, match="holds no key: remove it"):
        sealer(tmp_path).open("a")


SOME_KEY = base64.urlsafe_b64encode(bytes(range(32))).decode()


@pytest.mark.parametrize("secret", ["a passphrase", "größe 東京", SOME_KEY])
def test_a_secret_key_is_enough_for_machines_that_share_nothing(
    tmp_path: Path, secret: str
) -> None:
    sealed = sealer(tmp_path / "a", secret).seal(CANARY)
    assert sealer(tmp_path / "b", secret).open(sealed) == CANARY
    assert not list(tmp_path.iterdir())


def test_a_fernet_key_is_used_as_it_is(tmp_path: Path) -> None:
    key = Fernet.generate_key()
    sealed = Fernet(key).encrypt(CANARY.encode()).decode()
    assert sealer(tmp_path, key.decode()).open(sealed) == CANARY


@pytest.mark.parametrize(
    "sealed",
    ["", "garbage", IN_MEMORY.seal(CANARY), "größe"],
    ids=["nothing", "garbage", "sealed", "text"],
)
def test_what_another_key_sealed_has_to_be_answered_again(tmp_path: Path, sealed: str) -> None:
    with pytest.raises(PermanentError, match="secret key changed: answer again") as raised:
        sealer(tmp_path).open(sealed)
    assert raised.value.kind is ErrorKind.INVALID_OPTION


def test_the_settings_do_not_show_the_secret_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGEST_SECRET_KEY", CANARY)
    settings = Settings()
    assert settings.secret_key is not None
    assert settings.secret_key.get_secret_value() == CANARY
    assert CANARY not in f"{settings!r} {settings} {settings.model_dump()} "
    assert CANARY not in settings.model_dump_json()
