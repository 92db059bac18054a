"""Dagster's own tools on this project: they cost seconds, so they start together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from ingestion_pipeline.settings import project_dir
from ingestion_pipeline_tests.defs.test_definitions import GRAPH_CHECKS, KNOWLEDGE, TREE_CHECKS
from ingestion_pipeline_tests.pipeline.lab import ASSETS, CHECKS

PIPELINES = ("dataflow/handbook", "dataflow/passages")
TOOLS = {
    "list": ["dg", "list", "defs", "--json"],
    "check": ["dg", "check", "defs"],
    "toml": ["dg", "check", "toml"],
    "validate": ["dagster", "definitions", "validate", "-w", "workspace.yaml"],
}

pytestmark = pytest.mark.xdist_group("tools")


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str, str]]:
    """What each tool said: exit code, stdout, stderr."""
    state = tmp_path_factory.mktemp("state")
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("DAGSTER_HOME", "PYTHONPATH")
    } | {"INGEST_STATE_DIR": str(state), "DAGSTER_HOME": str(project_dir())}
    started = {
        name: subprocess.Popen(
            [str(Path(sys.executable).parent / tool), *arguments],
            cwd=project_dir(),
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name, (tool, *arguments) in TOOLS.items()
    }
    results = {}
    for name, process in started.items():
        out, err = process.communicate(timeout=120)
        results[name] = (process.returncode, out, err)
    return results


@pytest.mark.parametrize("tool", TOOLS)
def test_the_tool_is_content(said: dict[str, tuple[int, str, str]], tool: str) -> None:
    code, out, err = said[tool]

    assert code == 0, out + err


def test_dg_lists_every_definition(said: dict[str, tuple[int, str, str]]) -> None:
    listed = json.loads(said["list"][1])

    assert {
        kind: sorted(each.get("name") or each["asset_key"] for each in found)
        for kind, found in listed.items()
        if found
    } == {
        "assets": sorted([*ASSETS, *KNOWLEDGE, *PIPELINES]),
        "asset_checks": sorted([*CHECKS, *TREE_CHECKS, *GRAPH_CHECKS]),
        "jobs": [
            "dry_run_job",
            "graph_job",
            "handbook_job",
            "ingest_job",
            "maintenance_job",
            "mindmap_job",
            "passages_job",
            "purge_job",
            "raptor_job",
            "reindex_job",
        ],
        "resources": ["services"],
        "schedules": ["nightly_maintenance_schedule", "nightly_reindex_schedule"],
        "sensors": [
            "alert_sensor",
            "automation_sensor",
            "build_sensor",
            "dry_run_sensor",
            "purge_sensor",
            "reconcile_sensor",
            "reindex_sensor",
            "task_stream_sensor",
        ],
    }


def test_every_way_to_start_dagster_loads_the_same_module() -> None:
    workspace = yaml.safe_load((project_dir() / "workspace.yaml").read_text())
    project = tomllib.loads((project_dir() / "pyproject.toml").read_text())["tool"]["dg"]["project"]

    assert workspace["load_from"] == [
        {
            "python_module": {
                "module_name": f"{project['root_module']}.definitions",
                "location_name": project["code_location_name"],
            }
        }
    ]
    assert project["defs_module"] == f"{project['root_module']}.defs.declared"
