"""Dagster definitions and nothing else: one folder for each part of the asset graph.

Belongs here: assets, checks, jobs, sensors, schedules as thin shells. Does not belong here:
logic of any kind (``tasks``, ``stages``).
"""

import warnings

import dagster as dg

# Checks need the partitions of their assets, or one collection's result hides another's; Dagster
# calls that a preview, at every load of the code location, in every log.
warnings.filterwarnings(
    "ignore", message="Specifying a partitions_def on an AssetCheckSpec", category=dg.PreviewWarning
)
