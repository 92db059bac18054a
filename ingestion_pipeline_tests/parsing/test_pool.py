from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from ingestion_pipeline.errors import (
    Ask,
    ErrorKind,
    IngestError,
    InputNeededError,
    PermanentError,
    TransientError,
)
from ingestion_pipeline.model.elements import ParsedDocument
from ingestion_pipeline.parsing import ParserPool, parse
from ingestion_pipeline_tests.parsing import samples
from ingestion_pipeline_tests.parsing.further_samples import ALL_FORMATS

MISBEHAVING = (sys.executable, str(Path(__file__).with_name("misbehaving_child.py")))
MEMORY_BYTES = 512 * 1024 * 1024

INTERRUPTED = """
import os, signal, threading
from ingestion_pipeline_tests.parsing.test_pool import is_running, misbehaving_pool, pid_of_child

signal.signal(signal.SIGINT, signal.default_int_handler)
with misbehaving_pool() as pool:
    before = pid_of_child(pool)
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        pool.parse(b"", "hang")
    except KeyboardInterrupt:
        print("interrupted", end="; ")
    print("the child is", "there" if is_running(before) else "gone", end="; ")
    print("another one answers" if pid_of_child(pool) != before else "the same one answers")
"""


def misbehaving_pool(workers: int = 1, timeout_seconds: float = 30) -> ParserPool:
    return ParserPool(workers, timeout_seconds, MEMORY_BYTES, command=MISBEHAVING)


def pid_of_child(pool: ParserPool) -> int:
    return int(pool.parse(b"", "pid").text)


def is_running(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def wait_until_gone(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not is_running(pid)


@pytest.fixture(scope="module")
def pool() -> Iterator[ParserPool]:
    with misbehaving_pool() as shared:
        yield shared


@pytest.mark.parametrize("name", ALL_FORMATS)
def test_a_child_gives_the_same_document_as_this_process(pool: ParserPool, name: str) -> None:
    data = ALL_FORMATS[name]()
    assert pool.parse(data, name) == parse(data, name)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", ErrorKind.EMPTY),
        (b"\x7fELF", ErrorKind.UNSUPPORTED),
        (b"%PDF-1.4\n", ErrorKind.BROKEN),
        (samples.handbook_pdf(1, password="secret"), ErrorKind.ENCRYPTED),
    ],
    ids=["empty", "unsupported", "broken", "encrypted"],
)
def test_typed_errors_arrive_typed(pool: ParserPool, data: bytes, kind: ErrorKind) -> None:
    with pytest.raises(PermanentError) as here:
        parse(data, "a.pdf")
    with pytest.raises(PermanentError) as there:
        pool.parse(data, "a.pdf")
    assert there.value.kind is here.value.kind is kind
    assert there.value.message == here.value.message


def test_a_password_goes_to_the_child_and_nowhere_else(pool: ParserPool) -> None:
    canary = "canary-of-the-pool"
    data = samples.handbook_pdf(2, password=canary)
    with pytest.raises(InputNeededError) as raised:
        pool.parse(data, "a.pdf", password=f"wrong {canary}")
    assert raised.value.asks is Ask.PASSWORD
    assert canary not in str(raised.value)
    assert pool.parse(data, "a.pdf", password=canary).pages == 2
    pid = pid_of_child(pool)
    for place in ("cmdline", "environ"):
        assert canary.encode() not in Path(f"/proc/{pid}/{place}").read_bytes()
    with pytest.raises(InputNeededError):
        pool.parse(data, "a.pdf")  # a password is for one document


def test_transient_errors_stay_transient(pool: ParserPool) -> None:
    with pytest.raises(TransientError, match="come back later") as raised:
        pool.parse(b"", "transient")
    assert raised.value.kind is ErrorKind.UNAVAILABLE


def test_a_child_is_used_again_also_after_an_error(pool: ParserPool) -> None:
    before = pid_of_child(pool)
    with pytest.raises(PermanentError):
        pool.parse(b"", "empty.txt")
    assert pid_of_child(pool) == before


def test_a_child_survives_the_thread_that_started_it() -> None:
    with misbehaving_pool() as pool:
        with ThreadPoolExecutor(1) as short_lived:
            before = short_lived.submit(pid_of_child, pool).result()
        time.sleep(0.1)
        assert pid_of_child(pool) == before


def test_a_warm_child_costs_less_than_ten_milliseconds(pool: ParserPool) -> None:
    pid_of_child(pool)
    start = time.perf_counter()
    for _ in range(20):
        pool.parse(samples.PLAIN, "a.txt")
    assert (time.perf_counter() - start) / 20 < 0.01


def test_what_a_library_prints_or_reads_does_not_touch_the_pipes(pool: ParserPool) -> None:
    with pytest.raises(PermanentError) as raised:
        pool.parse(b"", "noise")
    assert raised.value.kind is ErrorKind.EMPTY
    assert pool.parse(b"", "input").text


def test_a_document_larger_than_a_pipe_goes_through(pool: ParserPool) -> None:
    text = "0123456789 " * 400_000
    assert pool.parse(text.encode(), "a.txt").text == text.strip()


def test_a_parser_that_hangs_is_killed_and_replaced() -> None:
    with misbehaving_pool(timeout_seconds=0.3) as pool:
        before = pid_of_child(pool)
        with pytest.raises(PermanentError, match=r"longer than 0\.3 s") as raised:
            pool.parse(b"", "hang")
        assert raised.value.kind is ErrorKind.TIMEOUT
        assert wait_until_gone(before)
        assert pid_of_child(pool) != before


def test_a_parser_that_gives_signs_of_life_may_take_longer() -> None:
    with misbehaving_pool(timeout_seconds=0.8) as pool:
        assert pool.parse(b"", "long, with signs of life").text
        assert pid_of_child(pool), "and is in step with its pool afterwards"


def test_a_parser_that_hangs_after_a_sign_of_life_is_killed_all_the_same() -> None:
    with misbehaving_pool(timeout_seconds=0.3) as pool, pytest.raises(PermanentError) as raised:
        pool.parse(b"", "signs of life, then a hang")
    assert raised.value.kind is ErrorKind.TIMEOUT


def test_a_parser_that_needs_too_much_memory_is_stopped(pool: ParserPool) -> None:
    before = pid_of_child(pool)
    with pytest.raises(PermanentError, match="512 MiB of memory") as raised:
        pool.parse(b"", "too much memory")
    assert raised.value.kind is ErrorKind.TOO_LARGE
    assert pid_of_child(pool) != before


def test_an_abort_for_want_of_memory_is_told_from_other_crashes() -> None:
    # In a grandchild of this process: what a parent holds, Linux counts to its children.
    starter = "import subprocess, sys; subprocess.run([sys.executable, '-c', *sys.argv[1:]])"
    script = """
from ingestion_pipeline.errors import IngestError
from ingestion_pipeline_tests.parsing.test_pool import misbehaving_pool
with misbehaving_pool() as pool:
    try:
        pool.parse(b"", "abort for want of memory")
    except IngestError as error:
        print(error.kind)
"""
    done = subprocess.run(
        [sys.executable, "-c", starter, script],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.strip() == ErrorKind.TOO_LARGE


@pytest.mark.parametrize(
    ("name", "cause"),
    [("segmentation fault", "SIGSEGV"), ("killed", "SIGKILL"), ("exit", "exit code 3")],
)
def test_a_crash_is_transient_and_names_its_cause(pool: ParserPool, name: str, cause: str) -> None:
    before = pid_of_child(pool)
    with pytest.raises(TransientError, match=cause) as raised:
        pool.parse(b"", name)
    assert raised.value.kind is ErrorKind.CRASHED
    assert pid_of_child(pool) != before


def test_a_child_that_was_killed_while_idle_is_replaced_unnoticed(pool: ParserPool) -> None:
    before = pid_of_child(pool)
    os.kill(before, signal.SIGKILL)
    assert wait_until_gone(before)
    assert pid_of_child(pool) != before


def test_at_rest_only_light_children_stay(
    pool: ParserPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = pid_of_child(pool)
    pool.rest()
    assert pid_of_child(pool) == before
    monkeypatch.setattr("ingestion_pipeline.parsing.pool._RESTING_BYTES", 0)
    pool.rest()
    assert pid_of_child(pool) != before


def test_an_interrupt_while_waiting_leaves_no_child_out_of_step() -> None:
    ran = subprocess.run(  # an interrupt that comes too late would end whoever runs the tests
        [sys.executable, "-c", INTERRUPTED],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.stdout == "interrupted; the child is gone; another one answers\n", ran.stderr


def test_as_many_documents_as_workers_are_parsed_at_once() -> None:
    with misbehaving_pool(workers=2) as pool, ThreadPoolExecutor(4) as threads:
        pids = list(threads.map(lambda _: pid_of_child(pool), range(20)))
        assert len(set(pids)) <= 2
        hanging = threads.submit(pool.parse, b"", "hang")
        assert pid_of_child(pool)
        pool.close()
        assert isinstance(hanging.exception(), TransientError)


def test_interrupting_a_key_leaves_the_others_undisturbed() -> None:
    with misbehaving_pool(workers=2) as pool, ThreadPoolExecutor(4) as threads:
        pid_of_child(pool)
        hanging = threads.submit(pool.parse, b"", "hang", key="hanging")
        slow = threads.submit(pool.parse, b"", "slow", key="slow")
        time.sleep(0.1)
        given_up = threads.submit(pool.parse, samples.PLAIN, "a.txt", key="given up")
        waiting = threads.submit(pool.parse, samples.PLAIN, "a.txt", key="waiting")
        time.sleep(0.1)
        pool.interrupt({"given up"})
        assert_interrupted(given_up)
        assert not hanging.done()
        pool.interrupt({"hanging"})
        assert_interrupted(hanging)
        assert waiting.result(10).text
        assert slow.result(10).text
        assert pool.parse(samples.PLAIN, "a.txt", key="hanging").text


def test_interrupting_all_ends_those_who_wait_as_well() -> None:
    with misbehaving_pool() as pool, ThreadPoolExecutor(3) as threads:
        calls = [threads.submit(pool.parse, b"", "hang", key=key) for key in ("a", "a", "b")]
        time.sleep(0.1)
        pool.interrupt()
        for call in calls:
            assert_interrupted(call)
        assert pid_of_child(pool)


def test_an_interrupted_parse_that_held_much_memory_is_not_taken_for_too_large() -> None:
    with misbehaving_pool() as pool, ThreadPoolExecutor(1) as threads:
        pid_of_child(pool)
        call = threads.submit(pool.parse, b"", "hang while holding", key="a")
        time.sleep(0.5)
        pool.interrupt(["a"])
        assert_interrupted(call)


def assert_interrupted(call: Future[ParsedDocument]) -> None:
    error = call.exception(10)
    assert isinstance(error, TransientError)
    assert "interrupted" in error.message


def test_closing_ends_children_and_all_who_wait() -> None:
    pool = misbehaving_pool()
    pid = pid_of_child(pool)
    with ThreadPoolExecutor(3) as threads:
        waiting = [threads.submit(pool.parse, b"", "hang") for _ in range(3)]
        time.sleep(0.1)
        pool.close()
        for future in waiting:
            error = future.exception()
            assert isinstance(error, TransientError)
            assert error.kind is ErrorKind.UNAVAILABLE
    assert not is_running(pid)
    with pytest.raises(TransientError, match="closed"):
        pool.parse(samples.PLAIN, "a.txt")
    pool.close()


@pytest.mark.parametrize("command", [(sys.executable, "-c", "exit(7)"), ("/no/such/program",)])
def test_a_child_that_cannot_start_is_unavailable(command: tuple[str, ...]) -> None:
    with ParserPool(1, 5, MEMORY_BYTES, command=command) as pool:
        with pytest.raises(TransientError) as raised:
            pool.parse(samples.PLAIN, "a.txt")
        assert raised.value.kind is ErrorKind.UNAVAILABLE


@pytest.mark.parametrize("name", ["hang", "pid"])
def test_children_die_with_a_parent_that_is_killed(name: str) -> None:
    script = (
        "import sys, time; from ingestion_pipeline.parsing import ParserPool\n"
        f"pool = ParserPool(1, 60, {MEMORY_BYTES}, command={MISBEHAVING!r})\n"
        "print(pool.parse(b'', 'pid').text, flush=True)\n"
        f"pool.parse(b'', {name!r})\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        time.sleep(0.1)
        assert is_running(child)
        parent.kill()
    assert wait_until_gone(child)


@pytest.mark.parametrize("name", ALL_FORMATS)
def test_damaged_bytes_give_a_document_or_a_typed_error(pool: ParserPool, name: str) -> None:
    generator = random.Random(name)
    data = ALL_FORMATS[name]()
    for _ in range(40):
        damaged = bytearray(data)
        for _ in range(generator.randint(1, 20)):
            damaged[generator.randrange(len(damaged))] = generator.randrange(256)
        if generator.random() < 0.3:
            del damaged[generator.randrange(len(damaged)) :]
        try:
            document = pool.parse(bytes(damaged), name)
            assert document.elements or document.attachments
        except IngestError as error:
            assert error.kind is not ErrorKind.INTERNAL  # noqa: PT017


def test_an_archive_of_a_hundred_megabytes_needs_less_than_a_gigabyte() -> None:
    content = os.urandom(50 * 1000**2)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.bin", content)
        archive.writestr("b.bin", content)
    with ParserPool(1, 60, 1024**3) as pool:
        first, second = pool.parse(buffer.getvalue(), "a.zip").attachments
    assert first.data == second.data == content


def test_a_child_that_answers_nonsense_is_given_up() -> None:
    nonsense = (
        "import struct, sys, time\n"
        "for frame in (b'', b'{nonsense'):\n"
        "    sys.stdout.buffer.write(struct.pack('>Q', len(frame)) + frame)\n"
        "    sys.stdout.flush()\n"
        "time.sleep(60)\n"
    )
    with ParserPool(1, 30, MEMORY_BYTES, command=(sys.executable, "-c", nonsense)) as pool:
        for _ in range(2):
            with pytest.raises(TransientError, match="gave no answer"):
                pool.parse(b"text", "a.txt")
        assert not pool._idle
