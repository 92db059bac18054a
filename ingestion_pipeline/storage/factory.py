"""From an address to an object store.

Belongs here: the choice of the store and how its client is set up. Does not belong here: reading
the environment (``settings``).
"""

from __future__ import annotations

from urllib.parse import urlsplit

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.settings import project_dir
from ingestion_pipeline.storage.base import ObjectStore
from ingestion_pipeline.storage.local import LocalStore


def open_store(uri: str, max_concurrent: int = 10) -> ObjectStore:
    """Open a folder (a relative one starts at the project's top level) or ``s3://bucket/prefix``.

    ``max_concurrent`` is how many requests may be under way at once. boto3 finds credentials,
    region and ``AWS_ENDPOINT_URL`` by itself.

    Raises:
        PermanentError: of kind ``invalid_option`` if the address is of another kind.
        TransientError: of kind ``unavailable`` if the folder cannot be made.
    """
    if "://" not in uri:
        return LocalStore((project_dir() / uri).resolve())
    parts = urlsplit(uri)
    if parts.scheme != "s3" or not parts.netloc:
        raise PermanentError(
            ErrorKind.INVALID_OPTION,
            f"{uri!r} (INGEST_STORAGE_URI, or what the command was given) is neither a folder nor "
            "s3://bucket/prefix",
        )
    return _open_s3(parts.netloc, parts.path.strip("/"), max_concurrent)


def _open_s3(bucket: str, prefix: str, max_concurrent: int) -> ObjectStore:
    from boto3.session import Session  # type: ignore[import-untyped]
    from botocore.config import Config  # type: ignore[import-untyped]

    from ingestion_pipeline.storage.s3 import S3Store

    config = Config(
        connect_timeout=5,
        read_timeout=60,
        max_pool_connections=max_concurrent,
        retries={"mode": "standard", "total_max_attempts": 4},
    )
    # The session that boto3 shares keeps the credentials of the process's first client.
    return S3Store(Session().client("s3", config=config), bucket, prefix)
