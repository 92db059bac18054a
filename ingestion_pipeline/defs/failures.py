"""Failures of steps that trying again cannot help.

Three mechanisms could try again: an op's retry policy, Dagster's run retries, automation. A
permanent failure stops them, whatever a user's instance is configured to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
from dagster._core.storage.tags import MAX_RETRIES_TAG

from ingestion_pipeline.errors import PermanentError


class PermanentFailure(dg.Failure):
    """A failure with one line that says what to do; nobody tries again by himself."""

    def __init__(self, error: PermanentError) -> None:
        super().__init__(
            description=error.message, metadata={"kind": error.kind.value}, allow_retries=False
        )


@contextmanager
def permanent_errors_fail_for_good(
    context: dg.AssetExecutionContext | dg.OpExecutionContext,
) -> Iterator[None]:
    """Turn permanent errors inside the block into failures that are not tried again."""
    try:
        yield
    except PermanentError as error:
        context.instance.add_run_tags(context.run.run_id, {MAX_RETRIES_TAG: "0"})
        raise PermanentFailure(error) from error
