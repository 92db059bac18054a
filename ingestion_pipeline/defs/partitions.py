"""Partitions: one for each collection, shared by every asset and every check."""

from __future__ import annotations

import dagster as dg

PARTITIONS_NAME = "collections"
collections_partitions = dg.DynamicPartitionsDefinition(name=PARTITIONS_NAME)
