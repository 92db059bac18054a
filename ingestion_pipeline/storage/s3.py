"""An object store in a bucket of S3, or of anything that speaks its protocol.

Belongs here: requests and what their failures are called. Does not belong here: credentials and
endpoint, which boto3 finds by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import (  # type: ignore[import-untyped]
    BotoCoreError,
    ClientError,
    NoCredentialsError,
)

from ingestion_pipeline.errors import ErrorKind, PermanentError, TransientError
from ingestion_pipeline.storage.base import Dated, checked_key, missing

NOT_FOUND, FORBIDDEN = 404, 403


class S3Store:
    """Objects below a prefix of a bucket; see ``ObjectStore`` for what each method promises.

    ``client`` is a boto3 client of S3, which threads may share.
    """

    def __init__(self, client: Any, bucket: str, prefix: str = "") -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = f"{checked_key(prefix)}/" if prefix else ""

    def put(self, key: str, data: bytes, *, durable: bool = True) -> None:  # noqa: ARG002
        """Store ``data`` under ``key``; S3 is always durable."""
        with self._errors(key):
            self._client.put_object(Bucket=self._bucket, Key=self._full(key), Body=data)

    def get(self, key: str) -> bytes:
        """Return the object's bytes."""
        with self._errors(key):
            reply = self._client.get_object(Bucket=self._bucket, Key=self._full(key))
            with reply["Body"] as body:
                data: bytes = body.read()
            return data

    def size(self, key: str) -> int | None:
        """Return the object's size in bytes; None if there is none."""
        try:
            with self._errors(key):
                reply = self._client.head_object(Bucket=self._bucket, Key=self._full(key))
        except PermanentError as error:
            if error.kind is not ErrorKind.NOT_FOUND:
                raise
            return None
        return int(reply["ContentLength"])

    def exists(self, key: str) -> bool:
        """Return whether there is an object."""
        return self.size(key) is not None

    def delete(self, key: str) -> None:
        """Remove the object if there is one."""
        with self._errors(key):
            self._client.delete_object(Bucket=self._bucket, Key=self._full(key))

    def touch(self, key: str) -> bool:
        """Make the object count as modified now, by copying it onto itself."""
        full = self._full(key)
        try:
            with self._errors(key):
                self._client.copy_object(
                    Bucket=self._bucket,
                    Key=full,
                    CopySource={"Bucket": self._bucket, "Key": full},
                    MetadataDirective="REPLACE",
                )
        except PermanentError as error:
            if error.kind is not ErrorKind.NOT_FOUND:
                raise
            return False
        return True

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Yield the keys below the folder ``prefix``."""
        for each in self.dated(prefix):
            yield each.key

    def dated(self, prefix: str = "") -> Iterator[Dated]:
        """Yield what ``keys`` does, each with its age and size."""
        folder = f"{self._full(prefix)}/" if prefix else self._prefix
        with self._errors(prefix):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=folder):
                for entry in page.get("Contents", ()):
                    key = entry["Key"].removeprefix(self._prefix)
                    yield Dated(key, entry["LastModified"].timestamp(), entry["Size"])

    def _full(self, key: str) -> str:
        return self._prefix + checked_key(key)

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            raise self._typed(error, key) from error
        except NoCredentialsError as error:
            raise self._forbidden("no credentials were found") from error
        except BotoCoreError as error:
            raise self._unavailable(type(error).__name__) from error

    def _typed(self, error: ClientError, key: str) -> PermanentError | TransientError:
        code = str(error.response["Error"].get("Code"))
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if code == "NoSuchBucket":
            return PermanentError(
                ErrorKind.INVALID_OPTION,
                f"there is no bucket {self._bucket!r}: create it, or correct the address "
                "(INGEST_STORAGE_URI, or what the command was given)",
            )
        if status == NOT_FOUND:
            return missing(key)
        if status == FORBIDDEN:
            return self._forbidden(code)
        return self._unavailable(code)

    def _forbidden(self, reason: str) -> PermanentError:
        return PermanentError(
            ErrorKind.FORBIDDEN_SOURCE,
            f"the bucket {self._bucket!r} may not be used ({reason}): "
            "check the AWS credentials and the policy of the bucket",
        )

    def _unavailable(self, reason: str) -> TransientError:
        return TransientError(
            ErrorKind.UNAVAILABLE,
            f"the bucket {self._bucket!r} cannot be used now ({reason}): check the network, "
            "AWS_ENDPOINT_URL and AWS_REGION",
        )
