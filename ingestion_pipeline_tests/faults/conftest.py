from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing

import pytest

from ingestion_pipeline.tasks.services import Services
from ingestion_pipeline_tests.fakes import fake_embedder
from ingestion_pipeline_tests.faults.clean import CleanBuilds
from ingestion_pipeline_tests.faults.faults import INJECTION, Action, Faults, Point
from ingestion_pipeline_tests.faults.lab import Case, Lab
from ingestion_pipeline_tests.system.installation import installed

MODEL = os.environ.get("FAULTS_MODEL", "fake")
"""``fake``, or anything else for the real one."""
POISON = "poison-1.txt"


@pytest.fixture(scope="package")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One installation for all cases, each of which has a collection of its own."""
    faults = Faults(tmp_path_factory.mktemp("faults"))
    with (
        pytest.MonkeyPatch.context() as patch,
        installed(
            PYTHONPATH=os.pathsep.join(
                filter(None, [str(INJECTION), os.environ.get("PYTHONPATH")])
            ),
            FAULTS=str(faults.folder),
            FAULTS_MODEL=MODEL,
            INGEST_WORKER_LOADS_MODEL=str(MODEL != "fake"),
            INGEST_LEASE_SECONDS="4",
            OMP_NUM_THREADS="1",
        ) as installation,
    ):
        if MODEL == "fake":
            patch.setattr(Services, "embedder", fake_embedder)
        clean = CleanBuilds(tmp_path_factory.mktemp("clean"))
        with closing(clean.services):
            yield Lab(installation, faults, clean, loading_seconds=1 if MODEL == "fake" else 6)


@pytest.fixture(scope="package")
def unread(lab: Lab) -> Case:
    """A message whose reader is killed; sent first, as the next one takes it after a minute."""
    lab.faults.arm(Point.ACCEPTED, Action.KILL, "unread")
    case = lab.send("unread")
    lab.faults.strike("unread")
    return case


@pytest.fixture(scope="package")
def poisoned(lab: Lab, unread: Case) -> Case:
    """Three documents, one of which kills each process that embeds it; begun early, as it lasts.

    But not before the reader was killed, and with it all runs.
    """
    lab.faults.arm(Point.EMBEDDED, Action.KILL, POISON, times=20)
    return lab.submit("poison", documents=3)
