from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

OPEN = """
import sys
from ingestion_pipeline.execution.instance import open_instance
print("ready", flush=True)
sys.stdin.readline()
open_instance().get_runs(limit=1)
"""


def test_processes_that_are_the_first_at_once_make_one_sound_storage(tmp_path: Path) -> None:
    environment = os.environ | {"INGEST_STATE_DIR": str(tmp_path / "state")}
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", OPEN],
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(4)
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        errors = [process.communicate(timeout=60)[1] for process in processes]

    assert errors == [""] * 4
    assert [process.returncode for process in processes] == [0] * 4
