"""Partitions: one for each collection, shared by every asset and every check."""

from __future__ import annotations

import re

import dagster as dg

from ingestion_pipeline.model.collections import CollectionName

PARTITIONS_NAME = "collections"
collections_partitions = dg.DynamicPartitionsDefinition(name=PARTITIONS_NAME)


def dagster_name(name: CollectionName) -> str:
    """Return what a definition about one collection alone is called by; Dagster allows few signs.

    Two collections of such a name are told apart by Dagster's refusal of the second.
    """
    return re.sub(r"[^a-z0-9]", "_", name.key)
