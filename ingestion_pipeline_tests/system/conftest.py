from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from ingestion_pipeline.execution.instance import open_instance
from ingestion_pipeline_tests.system.installation import Installation


@pytest.fixture(scope="package")
def installation() -> Iterator[Installation]:
    with (
        tempfile.TemporaryDirectory(prefix="ing", ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        sources = Path(folder) / "sources"
        sources.mkdir()
        state = Path(folder) / "state"
        state.mkdir()
        patch.setenv("INGEST_STATE_DIR", str(state))
        patch.setenv("INGEST_SOURCE_ROOTS", str(sources))
        patch.setenv("INGEST_LEASE_SECONDS", "5")
        # A fast machine, too, shall take long enough to be caught while it embeds.
        patch.setenv("INGEST_EMBEDDING_BATCH_SIZE", "1")
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.delenv("DAGSTER_HOME", raising=False)
        open_instance.cache_clear()
        installation = Installation(state, sources)
        with closing(installation.services):
            try:
                yield installation
            finally:
                for pid in installation.processes():
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                installation.close()
                open_instance.cache_clear()


@pytest.fixture
def running(installation: Installation) -> Installation:
    """The services, which are started if the test before has stopped or killed them."""
    installation.ensure_up()
    return installation
