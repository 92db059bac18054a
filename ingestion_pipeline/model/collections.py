"""Collections (knowledge bases), their names and their typed configuration.

Belongs here: naming rules, configuration and its validation. Does not belong here: where
collections are stored (``registry``).
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ingestion_pipeline.errors import ErrorKind, PermanentError

DEFAULT_TENANT = "default"
NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")


class CollectionConfig(BaseModel):
    """How the documents of one collection are processed; every field has a working default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    chunk_tokens: Annotated[int, Field(ge=16, le=8192)] | None = None
    """Most tokens in a chunk, special tokens included; None is the model's limit."""
    chunk_overlap: Annotated[int, Field(ge=0, le=4096)] = 0
    """Tokens repeated from the end of the chunk before; must be under half the chunk size."""
    title_weight: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Share of the title's vector in each chunk's vector; 0 leaves the title out."""
    embedding_model: Annotated[str, Field(min_length=1)] | None = None
    """A name or folder that sentence-transformers loads; None is the configured default."""
    max_parallel_runs: Annotated[int, Field(ge=1, le=64)] = 1
    """How many runs may share the backlog of this collection."""

    def updated(self, changes: dict[str, Any]) -> CollectionConfig:
        """Return a copy with ``changes`` validated and applied; None restores a default.

        Raises:
            PermanentError: of kind ``invalid_option``, naming the nearest known key.
        """
        known = type(self).model_fields
        for key in changes:
            if key not in known:
                nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]
                raise PermanentError(
                    ErrorKind.INVALID_OPTION,
                    f"unknown collection option {key!r}; did you mean {nearest!r}?",
                )
        merged = self.model_dump(exclude_unset=True) | changes
        try:
            return CollectionConfig.model_validate(
                {key: value for key, value in merged.items() if value is not None}
            )
        except ValidationError as error:
            first = error.errors()[0]
            raise PermanentError(
                ErrorKind.INVALID_OPTION,
                f"collection option {first['loc'][0]!r}: {first['msg']} (got {first['input']!r})",
            ) from error


@dataclass(frozen=True)
class CollectionName:
    """A collection's full name: a tenant and a name within it."""

    tenant: str
    name: str

    def __post_init__(self) -> None:
        for part in (self.tenant, self.name):
            if not NAME_PATTERN.fullmatch(part):
                raise PermanentError(
                    ErrorKind.INVALID_OPTION,
                    f"{part!r} is not a valid name: use 1 to 63 of a-z, 0-9, '_', '.', '-', "
                    "starting with a letter or digit",
                )

    @property
    def key(self) -> str:
        """The partition key: the bare name for the default tenant, else ``tenant/name``."""
        return self.name if self.tenant == DEFAULT_TENANT else f"{self.tenant}/{self.name}"

    @property
    def table(self) -> str:
        """The table and folder name: unambiguous, and free of '/' for any file system.

        Names never start with '_', so the length-prefixed form cannot meet a bare name.
        """
        if self.tenant == DEFAULT_TENANT:
            return self.name
        return f"_{len(self.tenant)}_{self.tenant}_{self.name}"

    @classmethod
    def from_key(cls, key: str) -> CollectionName:
        """Read a partition key back; the inverse of ``key``."""
        tenant, separator, name = key.rpartition("/")
        return cls(tenant if separator else DEFAULT_TENANT, name)


@dataclass(frozen=True)
class Collection:
    """A registered collection."""

    name: CollectionName
    config: CollectionConfig
    created_at: float
    """Seconds since the epoch, by the database's clock."""

    @property
    def key(self) -> str:
        """The partition key."""
        return self.name.key
