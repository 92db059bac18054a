"""What several commands share: options, parsing of ``key=value``, output."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.collections import DEFAULT_TENANT

CollectionOption = Annotated[str, typer.Option("--collection", "-c", help="The collection.")]
TenantOption = Annotated[str, typer.Option("--tenant", help="The tenant the collection is of.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, nothing else.")]
TENANT = DEFAULT_TENANT


def show(value: object, as_json: bool, render: Callable[[], None]) -> None:
    """Print a result: as JSON, or as a person likes it."""
    if as_json:
        typer.echo(json.dumps(value, ensure_ascii=False, indent=2))
    else:
        render()


def tell(message: str) -> None:
    """Say something beside the result, on stderr."""
    typer.echo(message, err=True)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; columns whose name ends in '#' hold numbers."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        is_number = column.endswith("#")
        grid.add_column(column.removesuffix("#"), justify="right" if is_number else "left")
    for row in rows:
        grid.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    Console(width=None if sys.stdout.isatty() else 160, soft_wrap=False).print(grid)


def parse_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    """Read ``key=value`` pairs; a value is JSON if it reads as such, else text.

    Raises:
        PermanentError: of kind ``invalid_option`` for what is no pair.
    """
    found: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not (key and equals):
            raise PermanentError(
                ErrorKind.INVALID_OPTION, f"{assignment!r} is not of the form key=value"
            )
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value
    return found
