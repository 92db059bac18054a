"""Typed errors: what can go wrong with a document, a task or a request.

Belongs here: the closed set of error kinds and the exceptions that carry them. Does not belong
here: handling (that is the caller's business) or rendering for a terminal (``cli``).

Every message says what happened and what to do, in one line, because a user reads it on a task.
"""

from __future__ import annotations

from enum import StrEnum


class ErrorKind(StrEnum):
    """The kinds a task or document can fail with; part of the public interface."""

    NOT_FOUND = "not_found"
    UNSUPPORTED = "unsupported"
    EMPTY = "empty"
    BROKEN = "broken"
    ENCRYPTED = "encrypted"
    TOO_LARGE = "too_large"
    FORBIDDEN_SOURCE = "forbidden_source"
    TIMEOUT = "timeout"
    CRASHED = "crashed"
    QUARANTINED = "quarantined"
    INVALID_MESSAGE = "invalid_message"
    INVALID_OPTION = "invalid_option"
    DEPENDENCY_MISSING = "dependency_missing"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


class Ask(StrEnum):
    """What a person can be asked about a document; the task waits for the answer."""

    PASSWORD = "password"  # noqa: S105 - a name, no secret
    GO_ON = "go_on"


class IngestError(Exception):
    """An error with a kind and a one-line message for the person who owns the document."""

    def __init__(self, kind: ErrorKind, message: str) -> None:
        self.kind = kind
        # One printable line: it may quote what anybody sent, and goes into databases and terminals.
        self.message = " ".join(
            "".join(each if each.isprintable() else " " for each in message).split()
        )
        super().__init__(self.message)

    def __reduce__(self) -> tuple[type[IngestError], tuple[object, ...]]:
        return (type(self), (self.kind, self.message))


class PermanentError(IngestError):
    """Trying again cannot help: the document, the message or the request itself is at fault."""


class InputNeededError(PermanentError):
    """A person's answer would help; where nobody can be asked, the permanent error that it is."""

    def __init__(self, kind: ErrorKind, message: str, asks: Ask) -> None:
        self.asks = asks
        super().__init__(kind, message)

    def __reduce__(self) -> tuple[type[InputNeededError], tuple[object, ...]]:
        return (type(self), (self.kind, self.message, self.asks))


class TransientError(IngestError):
    """Trying again may help: a network, a busy server, a lost commit race."""


class StopWorkError(Exception):
    """Whoever sees this must stop its work at once, without publishing and without failing it."""


class LeaseLostError(StopWorkError):
    """The batch was given to another run."""


class WithdrawnError(StopWorkError):
    """Some of the documents at hand are not wanted any more; the others are to go on."""
