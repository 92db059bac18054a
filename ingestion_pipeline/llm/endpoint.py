"""Requests to an OpenAI-compatible endpoint: sent, repeated while that can help, or refused typed.

Belongs here: the connection, retries, and which answer means which error. Does not belong here:
what is asked (``chat``), limits and the cache.

The transport is httpcore, as for downloads: proxies and credentials are never taken from the
environment, and its streams are the one place where waiting can be watched. Each request has a
connection of its own, so a request that nobody waits for any more is closed at once, and an
endpoint that notices stops generating.
"""

from __future__ import annotations

import json
import random
import re
import ssl
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import httpcore
from pydantic import SecretStr

from ingestion_pipeline.control import Control
from ingestion_pipeline.errors import ErrorKind, IngestError, PermanentError, TransientError
from ingestion_pipeline.llm.limits import POLL_SECONDS

CONNECT_SECONDS = 1.5
"""Longest wait for a connection, during which nothing is watched; a retry waits again."""
WRITE_SECONDS = 10.0
"""Longest wait for the endpoint to take a piece of a request."""
MAX_ANSWER_BYTES = 16 * 1024 * 1024
LEAST_REST_SECONDS = 30.0
"""How long an endpoint that failed for good is left alone, at least."""

_PIECE_BYTES = 64 * 1024
_KEY = re.compile(r"[!-~]+")
_OK = 200
_NOT_FOUND = 404
_TOO_LARGE = 413
_TOO_MANY = 429
_BUSY = frozenset({408, 409, 425, _TOO_MANY})
_SERVER_ERROR = 500
_NOT_IMPLEMENTED = 501
_REFUSALS = frozenset({401, 403})
_NO_CREDIT = "insufficient_quota"
_UNSUPPORTED = re.compile(r"not (supported|implemented)|unsupported", re.IGNORECASE)
"""Some servers say so with the status of an accident."""
_TOO_LONG = re.compile(
    r"context.{0,20}(length|size|window)|too (long|large|many tokens)", re.IGNORECASE
)


@dataclass(frozen=True)
class Patience:
    """How often a request is tried, and the seconds to wait in between.

    The waits double from ``first_wait`` and vary at random, so that many clients do not come back
    at the same moment. An endpoint that asks for more than ``longest_wait`` has failed.
    """

    attempts: int = 4
    first_wait: float = 0.5
    longest_wait: float = 60.0


@dataclass(frozen=True)
class Endpoint:
    """Where the language model is, e.g. ``https://host/v1``; its secret is never shown.

    ``timeout_seconds`` is for one attempt, from connecting to the end of the answer. Pictures and
    audio may need models of their own; None is ``model``.
    """

    base_url: str
    model: str
    api_key: SecretStr | None = None
    timeout_seconds: float = 120.0
    vision_model: str | None = None
    transcription_model: str | None = None

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
            raise PermanentError(
                ErrorKind.INVALID_OPTION,
                "the address of the language model must look like https://host/v1: "
                "correct INGEST_LLM_BASE_URL",
            )
        if not self.base_url.isascii():
            raise PermanentError(
                ErrorKind.INVALID_OPTION, "INGEST_LLM_BASE_URL must be ASCII: encode its host"
            )
        if self.api_key and not _KEY.fullmatch(self.api_key.get_secret_value()):
            raise PermanentError(  # here, because an error of the transport would quote it
                ErrorKind.INVALID_OPTION,
                "INGEST_LLM_API_KEY holds blanks or other characters that no key has: correct it",
            )

    @property
    def fingerprint(self) -> str:
        """What identifies the model in a recipe: its address, its name and no secret."""
        return f"{self.base_url} {self.model}"

    def url(self, path: str) -> str:
        """Return the URL of one of the endpoint's methods."""
        return f"{self.base_url.rstrip('/')}/{path}"


class RejectedError(PermanentError):
    """The endpoint answered that it will not do this, with a status and its own words."""

    def __init__(self, kind: ErrorKind, message: str, status: int, said: str) -> None:
        self.status = status
        self.said = said
        super().__init__(kind, message)

    def __reduce__(self) -> tuple[type[RejectedError], tuple[object, ...]]:
        return (type(self), (self.kind, self.message, self.status, self.said))


class Transport:
    """Sends requests to one endpoint, from any thread.

    When all attempts of a request failed, the endpoint is left alone for as long as they took, 30
    seconds at least: other requests then fail at once, so that a dead endpoint costs a batch one
    wait, and not one for each of its chunks.
    """

    def __init__(self, endpoint: Endpoint, patience: Patience) -> None:
        self._endpoint = endpoint
        self._patience = patience
        self._rests_until = 0.0
        self._lock = threading.Lock()

    def post(self, path: str, content: bytes, media_type: str, control: Control) -> Any:
        """Return the JSON that the endpoint answers with.

        Raises:
            TransientError: of kind ``unavailable`` or ``timeout``, after the last attempt.
            RejectedError: of kind ``invalid_option``, or ``too_large`` where the text is.
        """
        if time.monotonic() < self._rests_until:
            raise TransientError(
                ErrorKind.UNAVAILABLE,
                "the language model failed a moment ago and is left alone for a while: "
                "try again later",
            )
        began = time.monotonic()
        for attempt in range(1, self._patience.attempts + 1):
            try:
                return self._attempt(path, content, media_type, control)
            except _Failure as failure:
                wait = failure.wait or self._backoff(attempt)
                if attempt == self._patience.attempts or wait > self._patience.longest_wait:
                    self._rest(max(LEAST_REST_SECONDS, time.monotonic() - began))
                    raise failure.error from failure
                _sleep(wait, control)
        raise AssertionError("a request has at least one attempt")

    def _backoff(self, attempt: int) -> float:
        longest = self._patience.first_wait * 2.0 ** (attempt - 1)
        return min(self._patience.longest_wait, longest * random.uniform(0.5, 1))  # noqa: S311

    def _rest(self, seconds: float) -> None:
        with self._lock:
            self._rests_until = max(self._rests_until, time.monotonic() + seconds)

    def _attempt(self, path: str, content: bytes, media_type: str, control: Control) -> Any:
        watch = _Watch(control, self._endpoint.timeout_seconds)
        try:
            with (
                httpcore.ConnectionPool(
                    ssl_context=self._ssl_context, network_backend=_WatchedBackend(watch)
                ) as pool,
                pool.stream(
                    "POST",
                    self._endpoint.url(path),
                    headers=self._headers(media_type),
                    content=content,
                ) as response,
            ):
                body = _body(response.iter_stream())
        except (httpcore.ReadTimeout, httpcore.WriteTimeout) as error:
            raise _Failure(
                TransientError(
                    ErrorKind.TIMEOUT,
                    "the language model did not answer within "
                    f"{self._endpoint.timeout_seconds:g} s: try again later, or ask for less",
                )
            ) from error
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            raise _Failure(_unavailable(f"cannot be reached ({error})")) from error
        return self._read(response, body)

    @cached_property
    def _ssl_context(self) -> ssl.SSLContext:
        return httpcore.default_ssl_context()  # 20 ms, so not for each request

    def _headers(self, media_type: str) -> Mapping[bytes | str, bytes | str]:
        headers: dict[bytes | str, bytes | str] = {
            "Content-Type": media_type,
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "ingestion-pipeline",
            "Connection": "close",
        }
        if self._endpoint.api_key:
            headers["Authorization"] = f"Bearer {self._endpoint.api_key.get_secret_value()}"
        return headers

    def _read(self, response: httpcore.Response, body: bytes) -> Any:
        """Return the answer's JSON, or raise what its status means."""
        if response.status == _OK:
            try:
                return json.loads(body)
            except ValueError as error:
                raise _Failure(_unavailable("answered with something that is no JSON")) from error
        said = self._without_secret(_said(body))
        if _is_temporary(response.status, said):
            asked = _retry_after({key.lower(): value for key, value in response.headers})
            what = f"answered with status {response.status} ({said})"
            raise _Failure(_unavailable(what), asked)
        raise self._rejected(response.status, said)

    def _rejected(self, status: int, said: str) -> RejectedError:
        kind = ErrorKind.INVALID_OPTION
        if status in _REFUSALS:  # no quotation: some endpoints repeat a part of the key
            what = "refused the key or what it may do: check INGEST_LLM_API_KEY"
        elif status == _NOT_FOUND:
            what = (
                f"is not there, or knows no model {self._endpoint.model!r}: check "
                f"INGEST_LLM_BASE_URL and INGEST_LLM_MODEL ({said})"
            )
        elif _NO_CREDIT in said:
            what = "has no credit left: top the account up, or configure another endpoint"
        elif status == _TOO_LARGE or _TOO_LONG.search(said):
            kind = ErrorKind.TOO_LARGE
            what = f"cannot take that much at once: use smaller chunks ({said})"
        else:
            what = (
                f"rejected a request with status {status}: check INGEST_LLM_BASE_URL and "
                f"INGEST_LLM_MODEL ({said})"
            )
        return RejectedError(kind, f"the language model {what}", status, said)

    def _without_secret(self, said: str) -> str:
        key = self._endpoint.api_key
        return said.replace(key.get_secret_value(), "***") if key else said


class _Failure(Exception):  # noqa: N818 - never leaves this module
    """One attempt failed; ``wait`` is how many seconds the endpoint asked for."""

    def __init__(self, error: IngestError, wait: float | None = None) -> None:
        self.error = error
        self.wait = wait
        super().__init__(error.message)


class _Watch:
    """The time that one attempt has, and who may stop it meanwhile."""

    def __init__(self, control: Control, seconds: float) -> None:
        self._control = control
        self._ends = time.monotonic() + seconds

    def next(self) -> float:
        """Return how long to wait before asking again, 0 when the time is over."""
        self._control.check()
        return min(POLL_SECONDS, max(0.0, self._ends - time.monotonic()))


class _WatchedBackend(httpcore.NetworkBackend):
    """Connections on which no wait is longer than a moment without looking up."""

    def __init__(self, watch: _Watch) -> None:
        self._watch = watch
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - the watch rules
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        self._watch.next()
        stream = self._sockets.connect_tcp(
            host, port, CONNECT_SECONDS, local_address, socket_options
        )
        return _WatchedStream(stream, self._watch)


class _WatchedStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, watch: _Watch) -> None:
        self._stream = stream
        self._watch = watch

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        while seconds := self._watch.next():
            try:
                return self._stream.read(max_bytes, seconds)
            except httpcore.ReadTimeout:
                continue
        raise httpcore.ReadTimeout("no answer in time")

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        for start in range(0, len(buffer), _PIECE_BYTES):
            self._watch.next()
            self._stream.write(buffer[start : start + _PIECE_BYTES], WRITE_SECONDS)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        stream = self._stream.start_tls(ssl_context, server_hostname, CONNECT_SECONDS)
        return _WatchedStream(stream, self._watch)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _sleep(seconds: float, control: Control) -> None:
    ends = time.monotonic() + seconds
    control.check()
    while (left := ends - time.monotonic()) > 0:
        time.sleep(min(POLL_SECONDS, left))
        control.check()


def _body(pieces: Iterable[bytes]) -> bytes:
    body = bytearray()
    for piece in pieces:
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            raise _Failure(_unavailable(f"answered with more than {MAX_ANSWER_BYTES} bytes"))
    return bytes(body)


def _said(body: bytes) -> str:
    """Return an error message in an answer, in whichever of the usual forms it came."""
    text = body[:4000].decode("utf-8", "replace")
    try:
        answer = json.loads(text)
    except ValueError:
        return text[:300]
    error = answer.get("error", answer) if isinstance(answer, dict) else answer
    if isinstance(error, dict):
        parts = (error.get(key) for key in ("message", "detail", "param", "code"))
        error = ", ".join(str(part) for part in parts if part) or error
    return str(error)[:300]


def _is_temporary(status: int, said: str) -> bool:
    if status == _TOO_MANY and _NO_CREDIT in said:
        return False
    if status == _NOT_IMPLEMENTED or _UNSUPPORTED.search(said):
        return False
    return status in _BUSY or status >= _SERVER_ERROR


def _retry_after(headers: Mapping[bytes, bytes]) -> float | None:
    """Return for how many seconds an answer asks to wait, None if it does not say."""
    value = headers.get(b"retry-after", b"").decode("latin-1").strip()
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def _unavailable(what: str) -> TransientError:
    return TransientError(
        ErrorKind.UNAVAILABLE, f"the language model {what}: check the endpoint, or try again later"
    )
