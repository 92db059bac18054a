from __future__ import annotations

from collections.abc import Iterator

import pytest

from ingestion_pipeline_tests.system.installation import Installation, installed


@pytest.fixture(scope="package")
def installation() -> Iterator[Installation]:
    with installed(
        INGEST_LEASE_SECONDS="5",
        # A fast machine, too, shall take long enough to be caught while it embeds.
        INGEST_EMBEDDING_BATCH_TOKENS="1",
        INGEST_EMBEDDING_PRECISION="float32",
    ) as installation:
        yield installation


@pytest.fixture
def running(installation: Installation) -> Installation:
    """The services, which are started if the test before has stopped or killed them."""
    installation.ensure_up()
    return installation
