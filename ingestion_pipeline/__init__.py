"""Documents go in, knowledge that can be searched comes out.

The public face is ``IngestionClient``; everything else is imported from its own module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ingestion_pipeline.client import IngestionClient

__all__ = ["IngestionClient"]


def __getattr__(name: str) -> object:
    """Import the client only when it is asked for, so that importing the package stays light."""
    if name == "IngestionClient":
        from ingestion_pipeline.client import IngestionClient

        return IngestionClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
