"""Log lines: all of them arrive, each says what it is about, and none says too much."""

from __future__ import annotations

import fcntl
import json
import logging
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from ingestion_pipeline import logs
from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.logs import Role, in_context, log_context, log_file, set_up_logging
from ingestion_pipeline.resources.services import ServicesResource
from ingestion_pipeline.settings import LogFormat, LogLevel, Settings, project_dir
from ingestion_pipeline_tests.cli.terminal import said

logger = logging.getLogger("ingestion_pipeline.tests")

LINE = re.compile(
    r"(?P<at>\S+) (?P<level>\w+) +task=(?P<task>\S+) document=(?P<document>\S+) run=(?P<run>\S+)"
    r" worker=(?P<worker>\S+) (?P<logger>\S+): (?P<message>.*)"
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path / "state")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Leave the logger of this process as it was found."""
    level, handlers = logs.logger.level, list(logs.logger.handlers)
    yield
    for handler in set(logs.logger.handlers) - set(handlers):
        handler.close()
    logs.logger.handlers[:] = handlers
    logs.logger.setLevel(level)


def written(settings: Settings) -> list[dict[str, str]]:
    """The lines of the file, by the names of their parts."""
    found = [LINE.fullmatch(line) for line in log_file(settings).read_text().splitlines()]
    return [match.groupdict() for match in found if match]


def written_json(settings: Settings) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log_file(settings).read_text().splitlines()]


def test_each_line_carries_task_document_run_and_worker(settings: Settings) -> None:
    set_up_logging(settings, Role.DAGSTER)

    with log_context(run="r-1", worker="run:r-1"):
        logger.info("outside")
        with log_context(task="t-1", document="d-1"):
            logger.info("%d chunks", 7)
    logger.info("after")

    outside, inside, after = written(settings)
    assert (outside["run"], outside["task"], outside["document"]) == ("r-1", "-", "-")
    assert (inside["task"], inside["document"], inside["run"]) == ("t-1", "d-1", "r-1")
    assert (inside["worker"], inside["level"], inside["message"]) == ("run:r-1", "INFO", "7 chunks")
    assert inside["logger"] == "ingestion_pipeline.tests"
    assert (after["run"], after["worker"].split(":")[0]) == ("-", "dagster")


def test_a_line_in_a_thread_of_a_pool_has_its_document(settings: Settings) -> None:
    def work(document: str) -> None:
        with log_context(document=document):
            logger.info("of %s", document)

    set_up_logging(settings, Role.DAGSTER)
    documents = [f"d-{number}" for number in range(50)]
    with ThreadPoolExecutor(4) as pool:
        with log_context(run="r-1"):
            list(pool.map(in_context(work), documents))
        pool.submit(logger.info, "of no run").result()

    *of_documents, alone = written(settings)
    assert Counter(line["document"] for line in of_documents) == Counter(documents)
    assert all(line["message"] == f"of {line['document']}" for line in of_documents)
    assert {line["run"] for line in of_documents} == {"r-1"}
    assert alone["run"] == "-"


def test_json_lines_can_be_read(settings: Settings) -> None:
    set_up_logging(settings.model_copy(update={"log_format": LogFormat.JSON}), Role.DAGSTER)

    with log_context(task="t-1"):
        logger.warning("two\nlines, a \u2028 in a line")
    error = PermanentError(ErrorKind.BROKEN, "cut in the middle")
    logger.error("it broke", exc_info=error)

    first, second = written_json(settings)
    assert first.keys() == {"at", "level", "logger", "message", *logs.FIELDS}
    assert first["message"] == "two\nlines, a \u2028 in a line"
    assert (first["task"], first["document"]) == ("t-1", None)
    assert second["trace"].strip() == "PermanentError: cut in the middle"


def test_nobody_can_forge_a_line(settings: Settings) -> None:
    set_up_logging(settings, Role.DAGSTER)

    logger.info("document %s", "a.txt\n2026-01-01 INFO all is well \x1b[2J")

    (line,) = log_file(settings).read_text().splitlines()
    assert line.endswith(r"document a.txt\n2026-01-01 INFO all is well \x1b[2J")


@pytest.mark.parametrize("form", LogFormat)
def test_a_traceback_quotes_nothing_that_was_worked_on(settings: Settings, form: LogFormat) -> None:
    set_up_logging(settings.model_copy(update={"log_format": form}), Role.DAGSTER)
    text = "can" + "ary"  # in pieces, as a traceback does show the program

    try:
        try:
            int(text)
        except ValueError as cause:
            raise RuntimeError(f"cannot read {text}") from cause
    except RuntimeError:
        logger.exception("unexpected error")

    lines = log_file(settings).read_text()
    assert "canary" not in lines
    assert lines.index("RuntimeError") < lines.index("ValueError") < lines.index("int(text)")


def test_setting_up_again_doubles_nothing(settings: Settings, tmp_path: Path) -> None:
    other = Settings(state_dir=tmp_path / "other")
    set_up_logging(other, Role.CLI)
    set_up_logging(settings, Role.DAGSTER)
    set_up_logging(settings, Role.DAGSTER)

    logger.info("once")

    assert [line["message"] for line in written(settings)] == ["once"]
    assert not other.state.exists()


def test_only_our_logger_is_touched(settings: Settings) -> None:
    root = logging.getLogger()
    before = (list(root.handlers), root.level)

    set_up_logging(settings, Role.CLI)

    assert (root.handlers, root.level) == before
    assert logs.logger.propagate  # or Dagster's handlers and pytest's would see nothing


def test_the_console_of_a_command_shows_errors_as_their_message_only(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logging(settings, Role.CLI)

    logger.info("all is well")
    logger.warning("almost")
    logger.error("it broke:\n%s", "badly", exc_info=ValueError("canary"))

    assert capsys.readouterr() == ("", "it broke:\\nbadly\n")
    assert [line["level"] for line in written(settings)] == ["INFO", "WARNING", "ERROR"]


def test_the_console_of_dagster_shows_warnings_with_their_context(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logging(settings, Role.DAGSTER)

    logger.info("all is well")
    with log_context(run="r-1"):
        logger.warning("almost")

    (line,) = capsys.readouterr().err.splitlines()
    shown = LINE.fullmatch(line)
    assert shown is not None
    assert (shown["run"], shown["message"]) == ("r-1", "almost")


@pytest.mark.parametrize(
    ("value", "kept"), [("debug", 4), ("INFO", 3), ("Warning", 2), ("error", 1)]
)
def test_the_level_is_set_from_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, kept: int
) -> None:
    monkeypatch.setenv("INGEST_LOG_LEVEL", value)
    settings = Settings(state_dir=tmp_path)
    set_up_logging(settings, Role.CLI)

    for level in LogLevel:
        logger.log(logging.getLevelNamesMapping()[level.upper()], "a line")

    assert len(written(settings)) == kept


def test_a_folder_that_cannot_be_written_is_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    set_up_logging(Settings(state_dir=tmp_path / "state"), Role.DAGSTER)

    logger.warning("first")
    logger.warning("second")

    told, first, second = capsys.readouterr().err.splitlines()
    assert first.endswith(": first")
    assert f"the log file {tmp_path}/state/logs/ingest.log cannot be written: " in told
    assert second.endswith(": second")


def test_a_removed_folder_is_not_made_again_by_who_is_left_behind(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logging(settings, Role.CLI)
    logger.info("first")
    log_file(settings).unlink()
    logger.info("second")
    assert [line["message"] for line in written(settings)] == ["second"]

    log_file(settings).unlink()
    log_file(settings).parent.rmdir()
    logger.info("third")

    assert not log_file(settings).parent.exists()
    assert "cannot be written" in capsys.readouterr().err


def test_a_full_file_is_put_aside_and_the_oldest_goes(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "MAX_BYTES", 100)
    monkeypatch.setattr(logs, "BACKUPS", 2)
    set_up_logging(settings, Role.CLI)

    for number in range(5):
        logger.info("line %d %s", number, "x" * 100)

    newest_first = [log_file(settings), *(Path(f"{log_file(settings)}.{n}") for n in (1, 2))]
    assert [path.read_text().split("line ")[1][0] for path in newest_first] == ["4", "3", "2"]
    assert sorted(log_file(settings).parent.iterdir()) == sorted(newest_first)


WRITERS, LINES = 3, 600

WRITE = f"""
import logging, sys
from pathlib import Path
from ingestion_pipeline import logs
from ingestion_pipeline.settings import Settings

logs.MAX_BYTES, logs.BACKUPS = 5000, 150
logs.set_up_logging(Settings(state_dir=Path(sys.argv[1])), logs.Role.CLI)
logger = logging.getLogger("ingestion_pipeline.writer")
with logs.log_context(worker=sys.argv[2]):
    for number in range({LINES}):
        logger.info("%d %s", number, "é" * (number % 90))
"""


def test_processes_that_write_and_rotate_one_file_at_once_lose_and_break_no_line(
    settings: Settings,
) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITE, str(settings.state), f"w{number}"])
        for number in range(WRITERS)
    ]
    assert [writer.wait(60) for writer in writers] == [0] * WRITERS

    files = list(log_file(settings).parent.iterdir())
    lines = [line for file in files for line in file.read_text().splitlines()]
    found = [LINE.fullmatch(line) for line in lines]
    assert len(files) > 5
    assert Counter((match["worker"], match["message"]) for match in found if match) == Counter(
        (f"w{writer}", f"{number} {'é' * (number % 90)}")
        for writer in range(WRITERS)
        for number in range(LINES)
    )
    assert all(found)


def test_who_holds_the_lock_of_the_file_holds_up_nobody(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "MAX_BYTES", 10)
    set_up_logging(settings, Role.CLI)
    logger.info("first")
    with log_file(settings).open("rb") as stopped:
        fcntl.flock(stopped, fcntl.LOCK_EX)
        logger.info("second")
        assert [line["message"] for line in written(settings)] == ["first", "second"]

    logger.info("third")

    assert [line["message"] for line in written(settings)] == ["third"]


def test_a_file_that_cannot_be_put_aside_grows_on(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "MAX_BYTES", 10)
    monkeypatch.setattr(logs, "BACKUPS", 1)
    set_up_logging(settings, Role.CLI)
    Path(f"{log_file(settings)}.1", "in the way").mkdir(parents=True)

    logger.info("first")
    logger.info("second")

    assert [line["message"] for line in written(settings)] == ["first", "second"]


def test_handlers_that_come_later_change_no_line_of_ours_and_get_no_quotation(
    settings: Settings,
) -> None:
    seen: list[str] = []

    class Rewriter(logging.Handler):
        """As Dagster's does."""

        def emit(self, record: logging.LogRecord) -> None:
            record.msg, record.args = f"job - run - {record.getMessage()}", ()
            seen.append(logging.Formatter().format(record))

    logs.logger.addHandler(Rewriter())
    set_up_logging(settings, Role.DAGSTER)

    logger.error("as it was said", exc_info=ValueError("canary"))

    assert [line["message"] for line in written(settings)] == ["as it was said"]
    assert seen == ["job - run - as it was said\n  ValueError"]


def test_commands_and_dagsters_processes_write_to_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INGEST_STATE_DIR", str(tmp_path / "state"))
    settings = Settings()

    assert said("collections", "list", "--json").json == []
    assert not log_file(settings).exists()
    logger.info("in a command")
    ServicesResource().get().close()
    logger.info("in a run")

    assert [(line["worker"].partition(":")[0], line["message"]) for line in written(settings)] == [
        ("cli", "in a command"),
        ("dagster", "in a run"),
    ]


def test_dagster_never_manages_the_root_logger() -> None:
    """Its handler writes to SQLite, whose lines it would then write to SQLite: a deadlock."""
    instance = yaml.safe_load((project_dir() / "dagster.yaml").read_text())

    assert instance["python_logs"]["managed_python_loggers"] == ["ingestion_pipeline"]
