"""Answering what tasks ask: an encrypted PDF, and scans of which little can be read."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ingestion_pipeline_tests.cli.terminal import Said, said
from ingestion_pipeline_tests.files import files_with
from ingestion_pipeline_tests.parsing.samples import chapter, handbook_pdf, pdf, scanned_page

pytestmark = pytest.mark.xdist_group("cli")  # they share one folder

PASSWORD = "canary-4711"
INGEST = Path(sys.executable).parent / "ingest"


def submit_secret(folder: Path, collection: str) -> Said:
    (folder / "secret.pdf").write_bytes(handbook_pdf(password=PASSWORD))
    return said("submit", str(folder / "secret.pdf"), "-c", collection, "--wait", "--json")


def submit_scans(folder: Path, collection: str) -> str:
    (folder / "scans.pdf").write_bytes(pdf([chapter(1), scanned_page, scanned_page]))
    ran = said("submit", str(folder / "scans.pdf"), "-c", collection, "--wait", "--json")
    task_id: str = ran.json["tasks"][0]["task_id"]
    return task_id


def task(task_id: str) -> Any:
    return said("task", task_id, "--json").json


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(f"{PASSWORD}\n")
    return path


@pytest.fixture(scope="module")
def asking(state: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A task that asks for a password, and is never given the right one."""
    ran = submit_secret(tmp_path_factory.mktemp("asking"), "asking")
    task_id: str = ran.json["tasks"][0]["task_id"]
    return task_id


@pytest.fixture
def canary(state: Path) -> Iterator[None]:
    """The password is in no file when a test has ended."""
    yield
    assert len(list(state.rglob("*"))) > 10
    assert files_with(PASSWORD, state) == []


def test_a_wait_ends_with_what_is_asked_and_how_to_answer(tmp_path: Path) -> None:
    ran = submit_secret(tmp_path, "waited")

    assert ran.code == 1
    (asking,) = ran.json["tasks"]
    assert (asking["state"], asking["error"], asking["finished_at"]) == ("input", None, None)
    assert asking["question"]["asks"] == "password"
    assert asking["question"]["message"].startswith("the PDF is encrypted: ")
    assert asking["deadline"] is not None
    assert ran.err.splitlines()[-1] == (
        f"task {asking['task_id']} asks for password: {asking['question']['message']}; "
        f"answer with `ingest reply {asking['task_id']}`"
    )


def test_what_is_asked_is_shown(asking: str) -> None:
    shown = said("task", asking)
    listed = said("tasks", "--state", "input", "--collection", "asking", "--json")
    table = said("tasks", "--state", "input", "--collection", "asking")

    assert "question     password: the PDF is encrypted: " in shown.out
    assert f"answer with `ingest reply {asking}`" in shown.err
    assert [each["task_id"] for each in listed.json] == [asking]
    assert listed.json[0]["question"]["asks"] == "password"
    assert "[INPUT] password: the PDF is encrypted" in table.out


@pytest.mark.parametrize(
    ("answers", "line"),
    [
        (["password=hunter2"], "a password on the command line is seen by others"),
        (["password=-"], "a password on the command line is seen by others"),
        (["hunter2"], "an answer has the form password=@FILE or go_on=true"),
        (["=hunter2"], "an answer has the form password=@FILE or go_on=true"),
        (["pasword=hunter2"], "continue task: pasword: "),
        (["go_on=hunter2"], "continue task: go_on: "),
        (["go_on=true"], "asks for password: answer that with `ingest reply"),
        ([], "there is no terminal to ask on"),
    ],
)
def test_what_is_no_answer_is_refused_and_not_repeated(
    asking: str, answers: list[str], line: str
) -> None:
    error = said("reply", asking, *answers).error

    assert error.startswith("error: invalid_option: ")
    assert line in error
    assert "hunter2" not in error
    assert task(asking)["state"] == "input"


def test_a_file_that_cannot_be_read_is_no_answer(asking: str, tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")

    assert said("reply", asking, f"password=@{tmp_path / 'none'}").error == (
        "error: not_found: the file of password=@FILE cannot be read: No such file or directory"
    )
    assert said("reply", asking, f"password=@{tmp_path / 'binary'}").error == (
        "error: invalid_option: the file of password=@FILE is not text in UTF-8"
    )


def test_an_unknown_task_cannot_be_answered() -> None:
    for answers in ([], ["go_on=true"]):
        assert said("reply", "nonesuch", *answers).error.startswith("error: not_found: ")


@pytest.mark.usefixtures("canary")
def test_an_answered_document_is_read_and_its_password_is_kept_nowhere(
    tmp_path: Path, password_file: Path, state: Path
) -> None:
    task_id = submit_secret(tmp_path, "opened").json["tasks"][0]["task_id"]

    replied = said("reply", task_id, f"password=@{password_file}", "--json")

    assert (replied.code, replied.json["state"], replied.json["question"]) == (0, "running", None)
    assert f"waits for `ingest up`, or for `ingest watch {task_id}`" in replied.err
    assert files_with(PASSWORD, state) == []
    second = said("reply", task_id, f"password=@{password_file}")
    assert second.error == f"error: invalid_option: task {task_id} asks nothing: it is running"
    watched = said("watch", task_id, "--json")
    assert (watched.code, watched.json[0]["state"]) == (0, "succeeded")
    hits = said("search", "who approves a journey?", "-c", "opened", "--json").json
    assert hits[0]["name"] == "secret.pdf"


@pytest.mark.usefixtures("canary")
def test_a_wrong_password_is_asked_for_again_and_the_right_one_may_follow(
    tmp_path: Path, password_file: Path
) -> None:
    task_id = submit_secret(tmp_path, "guessed").json["tasks"][0]["task_id"]
    wrong = tmp_path / "wrong"
    wrong.write_text("a guess")

    guessed = said("reply", task_id, f"password=@{wrong}", "--wait", "--json")
    answered = said("continue", task_id, f"password=@{password_file}", "--wait", "--json")

    assert (guessed.code, guessed.json["state"]) == (1, "input")
    assert "this password does not open it" in guessed.json["question"]["message"]
    assert "a guess" not in guessed.out + guessed.err
    assert (answered.code, answered.json["state"]) == (0, "succeeded")


@pytest.mark.usefixtures("canary")
def test_at_a_terminal_the_password_is_asked_for_and_not_shown(tmp_path: Path) -> None:
    task_id = submit_secret(tmp_path, "prompted").json["tasks"][0]["task_id"]
    terminal, stdin = pty.openpty()

    with subprocess.Popen(
        [str(INGEST), "reply", task_id, "--wait", "--json"],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # so that the terminal is what stdin is
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        told = ""
        while not told.endswith("password: ") and (character := process.stderr.read(1)):
            told += character  # what is typed before the prompt would be dropped
        os.write(terminal, f"{PASSWORD}\n".encode())
        out, err = process.communicate(timeout=120)
    os.set_blocking(terminal, False)
    with pytest.raises(BlockingIOError):  # nothing was shown there
        os.read(terminal, 1)
    os.close(stdin)
    os.close(terminal)

    assert process.returncode == 0, err
    assert told.startswith("the PDF is encrypted: ")
    assert '"state": "succeeded"' in out
    assert PASSWORD not in out + err


def test_scans_are_indexed_if_a_person_says_so(tmp_path: Path) -> None:
    task_id = submit_scans(tmp_path, "scanned")
    assert task(task_id)["question"]["asks"] == "go_on"
    assert "2 of 3 pages of scans.pdf are scans" in task(task_id)["question"]["message"]

    ran = said("reply", task_id, "go_on=true", "--wait", "--json")

    assert (ran.code, ran.json["state"]) == (0, "succeeded")
    (hit, *_) = said("search", "receipts", "-c", "scanned", "--json").json
    assert hit["pages"] == [1]


def test_saying_no_fails_the_task_and_trying_again_asks_again(tmp_path: Path) -> None:
    task_id = submit_scans(tmp_path, "declined")

    declined = said("reply", task_id, "go_on=false", "--json")
    retried = said("retry", task_id, "--wait", "--json")

    assert (declined.code, declined.json["state"]) == (0, "failed")
    assert declined.json["error"]["kind"] == "empty"
    assert (retried.code, retried.json["tasks"][0]["state"]) == (1, "input")
