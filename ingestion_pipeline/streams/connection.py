"""The connection to Redis, and what a failing one is called.

Belongs here: time limits, retries, text decoding, the mapping to typed errors. Does not belong
here: any key or command of ours.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

from ingestion_pipeline.errors import ErrorKind, PermanentError, TransientError

MAX_BLOCK_SECONDS = 30.0
"""Longest time one command may wait on the server for something to arrive."""
AWAY_SECONDS = 15.0
"""How long a Redis that did not answer is left alone: each attempt waits a tenth of a second or
two, and a run without services would make several for each batch."""


def connect(url: str) -> redis.Redis:
    """Return a client for ``redis://``, ``rediss://`` or ``unix://``; it connects when first used.

    Replies are text. Bytes that are not UTF-8 arrive as lone surrogates (``surrogateescape``)
    and are sent back as the same bytes, so that a foreign entry can neither break a read nor be
    altered by a move to another stream.

    A lost connection is tried again three times within a third of a second; a command that ran
    into the time limit is not, because it may still be at work.

    Raises:
        PermanentError: of kind ``invalid_option`` if the URL cannot be understood.
    """
    try:
        return redis.Redis.from_url(
            url,
            decode_responses=True,
            encoding_errors="surrogateescape",
            protocol=2,  # replies keep one shape with every server from Redis 6.2 on
            socket_connect_timeout=2,
            socket_timeout=MAX_BLOCK_SECONDS + 5,
            health_check_interval=30,
            retry=Retry(
                ExponentialWithJitterBackoff(cap=0.5, base=0.02),
                retries=3,
                supported_errors=(redis.ConnectionError,),
            ),
        )
    except ValueError as error:
        raise PermanentError(
            ErrorKind.INVALID_OPTION,
            "INGEST_REDIS_URL is not a URL of Redis: it starts with redis://, rediss:// or unix://",
        ) from error


def shown_url(url: str) -> str:
    """Return a Redis URL as it may be shown: without user and password."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"


@contextmanager
def redis_errors(client: redis.Redis) -> Iterator[None]:
    """Turn what Redis raises inside the block into typed errors that hold no password.

    Raises:
        TransientError: of kind ``unavailable`` if Redis does not answer or cannot write now.
        PermanentError: of kind ``invalid_option`` if it refuses the credentials.
    """
    try:
        yield
    except (redis.AuthenticationError, redis.exceptions.NoPermissionError) as error:
        raise PermanentError(
            ErrorKind.INVALID_OPTION,
            f"Redis at {_address(client)} refuses the credentials: correct INGEST_REDIS_URL",
        ) from error
    except (redis.ConnectionError, redis.TimeoutError) as error:
        raise TransientError(
            ErrorKind.UNAVAILABLE,
            f"Redis does not answer at {_address(client)}: "
            "start it with `ingest up` or set INGEST_REDIS_URL",
        ) from error
    except redis.ResponseError as error:
        if not _cannot_write(error):
            raise
        raise TransientError(
            ErrorKind.UNAVAILABLE,
            f"Redis at {_address(client)} accepts no writes: look at its disk, memory and role",
        ) from error


class Absence:
    """Remembers for a while that Redis is away; for what may be lost, and is not worth a wait."""

    def __init__(self) -> None:
        self._until = float("-inf")

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Raise the block's TransientError, and for a while one instead of entering the block."""
        if time.monotonic() < self._until:
            raise TransientError(ErrorKind.UNAVAILABLE, "Redis did not answer a moment ago")
        try:
            yield
        except TransientError:
            self._until = time.monotonic() + AWAY_SECONDS
            raise


def _cannot_write(error: redis.ResponseError) -> bool:
    """Whether the server is out of memory or disk, or has become a replica."""
    full = isinstance(error, redis.OutOfMemoryError | redis.ReadOnlyError)
    return full or "MISCONF" in str(error)


def _address(client: redis.Redis) -> str:
    where = client.connection_pool.connection_kwargs
    return str(where["path"]) if "path" in where else f"{where.get('host')}:{where.get('port')}"
