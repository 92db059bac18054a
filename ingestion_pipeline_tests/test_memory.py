"""A process that is to hold little does, and so do those that it starts."""

from __future__ import annotations

import os
import subprocess
import sys

from ingestion_pipeline.memory import ENVIRONMENT
from ingestion_pipeline.settings import Settings, child_environment

MIB = 1024**2
PREFER_OURS = (
    "import os; from ingestion_pipeline.settings import hold_little_memory; hold_little_memory(); "
)
SHOW_ENVIRONMENT = f"print(*(os.environ[name] for name in {list(ENVIRONMENT)}))"
FREE_AFTER_RAISING_THE_THRESHOLD = """
import psutil
process = psutil.Process()
large = bytearray(24 * 1024**2)
del large  # glibc, left alone, keeps blocks of up to this length from now on
begin = process.memory_info().rss
blocks = [bytearray(b"x") * (8 * 1024**2) for _ in range(20)]
kept = blocks[-1]
del blocks
print(process.memory_info().rss - begin)
"""


def _output(code: str, **variables: str) -> str:
    free = {name: value for name, value in os.environ.items() if name not in ENVIRONMENT}
    return subprocess.run(
        [sys.executable, "-c", code],
        env=free | variables,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout


def test_what_a_process_starts_inherits_that_it_is_to_hold_little() -> None:
    assert _output(PREFER_OURS + SHOW_ENVIRONMENT).split() == list(ENVIRONMENT.values())


def test_what_the_user_set_stays() -> None:
    said = _output(PREFER_OURS + SHOW_ENVIRONMENT, MALLOC_ARENA_MAX="7")
    assert said.split() == list((ENVIRONMENT | {"MALLOC_ARENA_MAX": "7"}).values())


def test_services_are_started_to_hold_little() -> None:
    assert ENVIRONMENT.keys() <= child_environment(Settings()).keys()


def test_large_blocks_go_back_as_soon_as_they_are_freed() -> None:
    kept = int(_output(PREFER_OURS + FREE_AFTER_RAISING_THE_THRESHOLD))
    assert kept < 16 * MIB
    left_alone = int(_output(FREE_AFTER_RAISING_THE_THRESHOLD))
    assert left_alone > 100 * MIB
