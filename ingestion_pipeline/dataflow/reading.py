"""Reading pipelines from files: what they say, or which line of which file is wrong.

Belongs here: YAML, files and folders. Does not belong here: the rules (``pipeline``). The file is
that of a Dagster component: its type, and under ``attributes`` the pipeline.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml
from pydantic import ValidationError

from ingestion_pipeline.dataflow.forms import PipelineForm
from ingestion_pipeline.dataflow.pipeline import (
    DeclarationError,
    Pipeline,
    Place,
    compose,
    first_problem,
)
from ingestion_pipeline.errors import ErrorKind, PermanentError

COMPONENT = "ingestion_pipeline.components.Dataflow"
"""The Dagster component that a pipeline is."""
DECLARED = Path(__file__).resolve().parents[1] / "defs" / "declared"
"""Where ``dg scaffold defs`` puts components."""
FILE = "defs.yaml"
"""What Dagster calls the file of a component."""


def find_pipelines(folder: Path, declared: Path) -> dict[str, Pipeline]:
    """Return all pipelines by name: those of a folder, and those declared among definitions.

    Raises:
        PermanentError: of kind ``invalid_option``, naming file and line, for what cannot run.
    """
    return _read([*_files(folder), *_declared(declared)])


def pipelines_in(folder: Path) -> dict[str, Pipeline]:
    """Return the pipelines of a folder only; see ``find_pipelines``."""
    return _read(_files(folder))


def _read(paths: Iterable[Path]) -> dict[str, Pipeline]:
    found: dict[str, Pipeline] = {}
    files: dict[str, Path] = {}
    for path in paths:
        pipeline = read_pipeline(path)
        if pipeline.name in found:
            raise _wrong(path, 1, f"{files[pipeline.name]} is called {pipeline.name!r} too")
        found[pipeline.name] = pipeline
        files[pipeline.name] = path
    return found


def read_pipeline(path: Path) -> Pipeline:
    """Read one pipeline.

    Raises:
        PermanentError: of kind ``invalid_option``, naming file and line, for what cannot run.
    """
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), yaml.SafeLoader)
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise _wrong(path, line, f"not YAML: {error.problem}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise _wrong(path, 1, f"it cannot be read: {error}") from None
    if not isinstance(value, dict) or value.get("type") != COMPONENT:
        line = _line(root, ("type",))
        raise _wrong(path, line, f"expected 'type: {COMPONENT}', and 'attributes' below it")
    try:
        return compose(_form(value.get("attributes")))
    except DeclarationError as error:
        raise _wrong(path, _line(root, ("attributes", *error.place)), str(error)) from None


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.yaml")) if folder.is_dir() else []


def _declared(declared: Path) -> Iterator[Path]:
    for path in sorted(declared.rglob(FILE)):
        if f"type: {COMPONENT}" in path.read_text(encoding="utf-8"):
            yield path


def _form(attributes: object) -> PipelineForm:
    try:
        return PipelineForm.model_validate(attributes)
    except ValidationError as error:
        raise first_problem(error, PipelineForm) from None


def _line(root: yaml.Node | None, place: Place) -> int:
    """Return the line of what stands at a place, or of what holds it."""
    node, line = root, 1
    for part in place:
        if isinstance(node, yaml.MappingNode):
            pair = next((each for each in node.value if each[0].value == part), None)
            if pair is None:
                break
            line, node = pair[0].start_mark.line + 1, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line


def _wrong(path: Path, line: int, message: str) -> PermanentError:
    return PermanentError(ErrorKind.INVALID_OPTION, f"{path}, line {line}: {message}")
