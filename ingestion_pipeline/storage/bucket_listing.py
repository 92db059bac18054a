"""Looking at a bucket of S3: keys, sizes and entity tags, no object is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ingestion_pipeline.storage.listing import Found, Patterns
from ingestion_pipeline.storage.source_rules import SourcePolicy
from ingestion_pipeline.storage.sources import check_source, s3_reader


@dataclass(frozen=True)
class BucketLister:
    """Looks at the objects whose keys begin with ``prefix``.

    Without ``recursive``, only at those with no further '/' behind it.
    """

    bucket: str
    prefix: str
    patterns: Patterns
    recursive: bool

    def look(
        self,
        policy: SourcePolicy,
        after: str,
        known: Mapping[str, str],  # noqa: ARG002 - the bucket tells of each what it is
    ) -> Iterator[Found]:
        """Yield the objects, in the order in which S3 lists them: that of their keys.

        Raises:
            PermanentError: of kind ``forbidden_source`` if the bucket may not be listed, or is
                this system's own.
            TransientError: if it cannot be listed now.
        """
        base = f"s3://{self.bucket}/"
        check_source(f"{base}{self.prefix}*", policy)
        request = {"Bucket": self.bucket, "Prefix": self.prefix}
        if after:
            request["StartAfter"] = after.removeprefix(base)
        if not self.recursive:
            request["Delimiter"] = "/"
        with s3_reader(f"{base}{self.prefix}", policy) as client:
            for page in client.get_paginator("list_objects_v2").paginate(**request):
                for each in page.get("Contents", ()):
                    key = each["Key"]
                    path = key.removeprefix(self.prefix).lstrip("/")
                    if not key.endswith("/") and self.patterns.takes(path or key):
                        yield Found(base + key, each["ETag"].strip('"'), each["Size"])
