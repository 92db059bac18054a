"""Settings: the only reader of the environment (prefix ``INGEST_``, every name optional).

Belongs here: what differs between machines. Does not belong here: what differs between
collections (``model.collections.CollectionConfig``).
"""

from __future__ import annotations

import os
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ingestion_pipeline import memory
from ingestion_pipeline.errors import ErrorKind, PermanentError

INSTANCE_FILE = "dagster.yaml"
PACKAGED_MODEL = "packaged:all-MiniLM-L6-v2"
"""The embedding model that arrives inside a package and needs no model hub."""


def project_dir() -> Path:
    """Return the project's top level: the checkout, or the current folder of an installed copy."""
    checkout = Path(__file__).resolve().parents[1]
    return checkout if (checkout / INSTANCE_FILE).is_file() else Path.cwd()


def dagster_home() -> Path:
    """Return the folder of the ``dagster.yaml`` in force: ``DAGSTER_HOME``, else the project."""
    home = Path(os.environ.get("DAGSTER_HOME", "")).resolve()
    return home if (home / INSTANCE_FILE).is_file() else project_dir()


def child_environment(settings: Settings) -> dict[str, str]:
    """Return the environment of processes we start, so that all of them agree on every folder.

    And so that they hold little memory, and that Dagster's daemon looks every second, not every
    five, for failed runs that it is to retry.
    """
    return (
        memory.ENVIRONMENT
        | untracked_environment()
        | {
            "DAGSTER_EVENT_LOG_CONSUMER_DAEMON_INTERVAL_SECONDS": "1",
            "DAGSTER_HOME": str(dagster_home()),
            "INGEST_STATE_DIR": str(settings.state),
            "PYTHONUNBUFFERED": "1",
        }
    )


def hold_little_memory() -> None:
    """Have this process, and those it starts, hold little memory; what somebody set stays.

    To be called before threads are started and libraries are loaded; what they took stays theirs.
    """
    unset = memory.ENVIRONMENT.keys() - os.environ.keys()
    os.environ.update({name: memory.ENVIRONMENT[name] for name in unset})
    memory.hold_little(unset)


def untracked_environment() -> dict[str, str]:
    """Return our environment with the telemetry of all libraries turned off."""
    return os.environ | {
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        "DO_NOT_TRACK": "1",
        "SCARF_NO_ANALYTICS": "true",
    }


def library_default(name: str, value: str) -> None:
    """Set a variable that a library reads when it is imported, unless the user set it."""
    os.environ.setdefault(name, value)


class LogFormat(StrEnum):
    """How lines in the log file look."""

    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    """The least important lines that are kept."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class EmbeddingPrecision(StrEnum):
    """The arithmetic that an embedding model runs in."""

    AUTO = "auto"
    """What this machine is fastest in."""
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


class EmbeddingRuntime(StrEnum):
    """The library that runs an embedding model."""

    AUTO = "auto"
    """What this machine is fastest with."""
    OPENVINO = "openvino"
    TORCH = "torch"


class Settings(BaseSettings):
    """Everything that can be set from outside; see the table in the user guide."""

    model_config = SettingsConfigDict(env_prefix="INGEST_", env_ignore_empty=True, frozen=True)

    state_dir: Path = Path("data/state")
    pipelines_dir: Path = Path("data/pipelines")
    """Where people's pipelines are, a file each."""
    """Where the embedded defaults live; a relative path starts at the project's top level."""
    redis_url: str | None = None
    """Any Redis >= 6.2 or Valkey; None is the embedded server's socket under the state folder."""
    database_url: str | None = None
    """The registry; None is SQLite under the state folder."""
    storage_uri: str | None = None
    """Objects and artifacts: a folder or ``s3://bucket/prefix``; None is the state folder."""
    lancedb_uri: str | None = None
    """Where LanceDB's tables are; ``s3://`` too; None is the state folder."""
    embedding_model: str = PACKAGED_MODEL
    """Any name or folder that sentence-transformers loads."""
    secret_key: SecretStr | None = None
    """Encrypts what people answer: any passphrase, or a Fernet key; None is a file in the state
    folder. Machines that do not share that folder need it."""
    llm_base_url: str | None = None
    """An OpenAI-compatible endpoint, such as ``https://host/v1``; None: no language model."""
    llm_api_key: SecretStr | None = None
    """What that endpoint asks for, if anything."""
    llm_model: str | None = None
    """The model to ask there."""
    llm_vision_model: str | None = None
    """The model that describes pictures, if it is another one."""
    llm_transcription_model: str | None = None
    """The model that writes down speech, if it is another one."""
    llm_timeout_seconds: Annotated[float, Field(gt=0)] = 120
    """Longest wait for one answer."""
    llm_token_budget: Annotated[int, Field(ge=0)] | None = None
    """Most tokens that one run may spend; None: no limit."""
    max_concurrent_chats: Annotated[int, Field(ge=1)] = 10
    """Questions to the language model at the same time, from all processes of this machine."""
    timezone: str = "UTC"
    """Of the nightly reindex (02:00 there)."""

    doc_bulk_size: Annotated[int, Field(ge=1)] = 256
    """Most documents in one batch, so in one index commit; fewer where they take long."""
    doc_bulk_bytes: Annotated[int, Field(ge=1)] = 64 * 1024 * 1024
    """Most source bytes in one batch (a batch holds at least one document)."""
    embedding_batch_tokens: Annotated[int, Field(ge=1)] = 1024
    """Most tokens per forward pass of the embedding model (at least one text), padding included."""
    converted_models_dir: Path | None = None
    """Where embedding models are kept that were converted for OpenVINO; None: in the state folder.
    Installations on one machine may share it."""
    embedding_runtime: EmbeddingRuntime = EmbeddingRuntime.AUTO
    """The library it runs in."""
    embedding_precision: EmbeddingPrecision = EmbeddingPrecision.AUTO
    """The arithmetic it runs in."""
    max_concurrent_tasks: Annotated[int, Field(ge=1)] = 5
    """Documents of one run that are fetched, parsed and chunked at the same time."""
    max_concurrent_chunk_builders: Annotated[int, Field(ge=1)] = 2
    """Parser child processes per run."""
    max_concurrent_storage: Annotated[int, Field(ge=1)] = 10
    """Requests to S3 at the same time, per process."""
    time_slice_seconds: Annotated[float, Field(gt=0)] = 60
    """How long a run started by the stream takes batches before it makes room for others."""
    lease_seconds: Annotated[float, Field(gt=0)] = 60
    """How long a batch belongs to a run that does not renew its lease."""
    task_timeout_seconds: Annotated[float, Field(gt=0)] = 10800
    """How long a task may take from the first run that takes it up."""
    input_timeout_seconds: Annotated[float, Field(gt=0)] = 43200
    """How long a task waits for a person's answer."""
    parse_timeout_seconds: Annotated[float, Field(gt=0)] = 300
    """Longest parse of one document."""
    parse_memory_bytes: Annotated[int, Field(ge=256 * 1024 * 1024)] = 2 * 1024**3
    """Most memory of one parser child process."""
    max_file_bytes: Annotated[int, Field(ge=1)] = 128 * 1024 * 1024
    """Largest source file."""
    source_roots: Annotated[tuple[Path, ...], NoDecode] = ()
    """Folders that ``file:`` sources in messages from elsewhere may be read from."""
    allow_private_addresses: bool = False
    """Whether ``http(s):`` sources may point into private networks."""
    worker_heartbeat_timeout: Annotated[float, Field(gt=0)] = 120
    """Seconds of silence after which a worker counts as dead."""
    worker_concurrency: Annotated[int, Field(ge=1)] = 2
    """Runs that one worker carries out at the same time, each in a process of its own."""
    worker_loads_model: bool = True
    """Whether these processes load the embedding model when they start, or when a run needs it."""
    worker_runs_per_process: Annotated[int, Field(ge=1)] = 200
    """After so many runs a worker replaces the process they ran in."""
    worker_process_memory_bytes: Annotated[int, Field(ge=256 * 1024 * 1024)] = 2 * 1024**3
    """A worker replaces a process that has taken up more, after its run."""
    history_days: Annotated[float, Field(gt=0)] = 30
    """How long what is over is kept: tasks that ended, runs whose results newer ones replaced."""
    index_versions_hours: Annotated[float, Field(ge=0.1)] = 1
    """How long older versions of an index are kept for who still reads them."""
    alert_webhook_url: SecretStr | None = None
    """Where alerts are posted as JSON; None: they are in the log only."""
    log_format: LogFormat = LogFormat.TEXT
    """How lines in the log file look."""
    log_level: LogLevel = LogLevel.INFO
    """The least important lines that are kept."""

    def __init__(self, **values: Any) -> None:
        """Read the environment; ``values`` win over it.

        Raises:
            PermanentError: of kind ``invalid_option``, naming the variable and what it takes.
        """
        try:
            super().__init__(**values)
        except ValidationError as error:
            first = error.errors(include_input=False)[0]  # an input may be a secret
            variable = f"INGEST_{first['loc'][0]}".upper()
            message = f"the setting {variable} cannot be used: {first['msg']}"
            raise PermanentError(ErrorKind.INVALID_OPTION, message) from error

    @field_validator("source_roots", mode="before")
    @classmethod
    def _split_source_roots(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(Path(part) for part in value.split(os.pathsep) if part)
        return value

    @field_validator(
        "log_format", "log_level", "embedding_runtime", "embedding_precision", mode="before"
    )
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @cached_property
    def pipelines(self) -> Path:
        """The folder of pipelines; a relative one is resolved against the project."""
        return (project_dir() / self.pipelines_dir).resolve()

    @cached_property
    def state(self) -> Path:
        """The absolute state folder."""
        return (project_dir() / self.state_dir).resolve()

    @property
    def redis_socket(self) -> Path:
        """Where the embedded Redis listens."""
        return self.state / "redis.sock"

    @property
    def redis_address(self) -> str:
        """The URL clients connect to."""
        return self.redis_url or f"unix://{self.redis_socket}"

    @property
    def database_address(self) -> str:
        """The SQLAlchemy URL of the registry."""
        return self.database_url or f"sqlite:///{self.state / 'registry.db'}"

    @property
    def storage_address(self) -> str:
        """The folder or ``s3://`` URI of objects and artifacts."""
        return self.storage_uri or str(self.state / "storage")

    @property
    def own_buckets(self) -> frozenset[str]:
        """The S3 buckets that hold this system's state."""
        places = (self.storage_uri or "", self.lancedb_uri or "")
        return frozenset(urlsplit(place).netloc for place in places if place.startswith("s3://"))

    @property
    def lancedb_address(self) -> str:
        """The folder or ``s3://`` URI of LanceDB."""
        return self.lancedb_uri or str(self.state / "lancedb")
