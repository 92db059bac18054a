"""Dagster resources: they create domain objects and hold no logic."""
