"""The registry as one object: opening it, and its parts by name.

Belongs here: nothing but putting the parts together.
"""

from __future__ import annotations

from ingestion_pipeline.registry.builds import Builds
from ingestion_pipeline.registry.claims import Claims
from ingestion_pipeline.registry.collections import Collections
from ingestion_pipeline.registry.corrections import Corrections
from ingestion_pipeline.registry.database import Database
from ingestion_pipeline.registry.documents import Documents
from ingestion_pipeline.registry.generations import Generations
from ingestion_pipeline.registry.operations import Operations
from ingestion_pipeline.registry.publications import Publications
from ingestion_pipeline.registry.retention import Retention
from ingestion_pipeline.registry.runs import Runs
from ingestion_pipeline.registry.sources import Sources
from ingestion_pipeline.registry.tasks import Tasks
from ingestion_pipeline.registry.upkeep import Upkeep


class Registry:
    """Everything that is known, in one database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.collections = Collections(database)
        self.documents = Documents(database)
        self.generations = Generations(database)
        self.tasks = Tasks(database)
        self.claims = Claims(database)
        self.builds = Builds(database)
        self.corrections = Corrections(database)
        self.runs = Runs(database)
        self.publications = Publications(database)
        self.operations = Operations(database)
        self.upkeep = Upkeep(database)
        self.retention = Retention(database)
        self.sources = Sources(database)


def open_registry(url: str) -> Registry:
    """Open the registry at a SQLAlchemy URL, bringing its schema up to date first."""
    database = Database(url)
    database.migrate()
    return Registry(database)
