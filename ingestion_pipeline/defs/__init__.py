"""Dagster definitions and nothing else: one folder for each part of the asset graph.

Belongs here: assets, checks, jobs, sensors, schedules as thin shells. Does not belong here:
logic of any kind (``tasks``, ``stages``).
"""
