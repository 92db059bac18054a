"""How Dagster is run here: where its instance stores, what is alive, the services of `ingest up`.

Belongs here: everything about processes and the Dagster instance. Does not belong here: Dagster
definitions (``defs``), the work itself (``tasks``).
"""
