"""Questions to a language model: chat, pictures, audio.

Belongs here: the form of requests and answers, what makes two questions the same, and what they
cost. Does not belong here: the connection (``endpoint``), limits, and the wording of questions.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ingestion_pipeline.control import Control, NoControl
from ingestion_pipeline.errors import ErrorKind, PermanentError, TransientError
from ingestion_pipeline.llm.answers import safe_text, without_thoughts
from ingestion_pipeline.llm.cache import AnswerCache
from ingestion_pipeline.llm.endpoint import Endpoint, Patience, RejectedError, Transport
from ingestion_pipeline.llm.limits import Budget, Slots

_CHAT = "chat/completions"
_TRANSCRIPTIONS = "audio/transcriptions"
_OTHER_FORM = frozenset({400, 422})
_CANNOT = frozenset({400, 404, 405, 415, 422, 500, 501})
"""What endpoints answer to a kind of content, or to a method, that they do not know."""
_BYTES_PER_TOKEN = 3
"""Of UTF-8, for setting tokens of the budget aside; endpoints then say what it really was."""
_PICTURE_TOKENS = 1500
_BYTES_PER_AUDIO_TOKEN = 1000
_SPARED = {"max_tokens": "max_tokens", "temperature": "temperature", "response_format": "schema"}
"""Parameters that some endpoints refuse, and another word for each in their refusals."""

_NO_CONTROL = NoControl()


@dataclass(frozen=True)
class Answer:
    """A model's words; ``tokens`` is what asking cost now, 0 for one that was ``cached``."""

    text: str
    tokens: int
    cached: bool


class Usage:
    """What was asked through a model: questions to the endpoint, their tokens, kept answers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.calls = 0
        self.tokens = 0
        self.cached = 0

    def add(self, answer: Answer) -> None:
        """Count an answer."""
        with self._lock:
            self.calls += not answer.cached
            self.cached += answer.cached
            self.tokens += answer.tokens


class ChatModel:
    """A language model behind an OpenAI-compatible endpoint, for any number of threads.

    ``slots`` limits the requests under way, over all models that share it. Without a ``cache``
    every question is asked anew, without a ``budget`` as often as one likes.

    Every method raises what ``control.check`` raises, within a second also while a request is
    under way; ``BudgetSpentError``; TransientError of kind ``unavailable`` or ``timeout`` after the
    last attempt; PermanentError of kind ``invalid_option``, saying which setting to look at, or of
    kind ``too_large``.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        slots: Slots,
        *,
        cache: AnswerCache | None = None,
        budget: Budget | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._slots = slots
        self._cache = cache
        self._budget = budget
        self._usage = Usage()
        self._transport = Transport(endpoint, patience or Patience())
        self._refused: set[str] = set()
        self._lock = threading.Lock()

    @property
    def fingerprint(self) -> str:
        """What tells its answers from another model's."""
        return self._endpoint.fingerprint

    @property
    def max_concurrent(self) -> int:
        """How many requests can be under way at a time."""
        return self._slots.count

    @property
    def budget_left(self) -> int | None:
        """Tokens that may still be spent; None if as many as one likes."""
        return None if self._budget is None else self._budget.left

    def with_cache(self, cache: AnswerCache) -> ChatModel:
        """Return this model with another cache; what is learned of the endpoint is shared."""
        other = copy.copy(self)
        other._cache = cache  # noqa: SLF001 - of its own kind
        return other

    def metered(self, usage: Usage) -> ChatModel:
        """Return this model, its answers counted; so are those of what ``with_cache`` returns."""
        other = copy.copy(self)
        other._usage = usage  # noqa: SLF001 - of its own kind
        return other

    def chat(
        self,
        system: str,
        user: str,
        *,
        max_tokens: int,
        temperature: float = 0.0,
        json_schema: Mapping[str, Any] | None = None,
        control: Control = _NO_CONTROL,
    ) -> Answer:
        """Ask a question.

        A ``json_schema`` is sent to endpoints that obey one; read the answer with ``read_json``
        all the same.
        """
        body = self._question(system, user, max_tokens, temperature, json_schema)
        return self._completed(body, _most_tokens(body), control)

    def foreseen(
        self,
        system: str,
        user: str,
        *,
        max_tokens: int,
        temperature: float = 0.0,
        json_schema: Mapping[str, Any] | None = None,
    ) -> int:
        """Return how many tokens a question may take, 0 if its answer is kept; ask nobody."""
        body = self._question(system, user, max_tokens, temperature, json_schema)
        key = _digest(self._endpoint.base_url, _CHAT, body)
        return 0 if self._kept(key) is not None else _most_tokens(body)

    def _question(
        self,
        system: str,
        user: str,
        max_tokens: int,
        temperature: float,
        json_schema: Mapping[str, Any] | None,
    ) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._endpoint.model,
            "messages": [
                {"role": "system", "content": safe_text(system)},
                {"role": "user", "content": safe_text(user)},
            ],
            "max_tokens": max_tokens,
            "temperature": temperature,
        }
        if json_schema is not None:
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": json_schema, "strict": False},
            }
        return body

    def describe(
        self,
        image: bytes,
        media_type: str,
        prompt: str,
        *,
        max_tokens: int = 500,
        control: Control = _NO_CONTROL,
    ) -> str:
        """Say what a picture shows.

        Raises:
            PermanentError: of kind ``dependency_missing`` if the model cannot look at pictures.
        """
        data = base64.b64encode(image).decode()
        picture = {"type": "image_url", "image_url": {"url": f"data:{media_type};base64,{data}"}}
        body = {
            "model": self._endpoint.vision_model or self._endpoint.model,
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "text", "text": safe_text(prompt)}, picture],
                }
            ],
            "max_tokens": max_tokens,
            "temperature": 0.0,
        }
        try:
            return self._completed(body, _PICTURE_TOKENS + max_tokens, control).text
        except RejectedError as error:
            if error.status not in _CANNOT:
                raise
            raise _missing(
                "describe pictures", "INGEST_LLM_VISION_MODEL to a model with vision", error
            ) from error

    def transcribe(self, audio: bytes, name: str, *, control: Control = _NO_CONTROL) -> str:
        """Write down what is said; ``name`` tells the endpoint the format by its ending.

        Raises:
            PermanentError: of kind ``dependency_missing`` if the endpoint does not transcribe.
        """
        model = self._endpoint.transcription_model or self._endpoint.model
        key = _digest(
            self._endpoint.base_url, _TRANSCRIPTIONS, model, hashlib.sha256(audio).hexdigest()
        )
        if (kept := self._kept(key)) is not None:
            return kept.text
        boundary = key[:32]
        content = _form({"model": model, "response_format": "json"}, audio, name, boundary)
        media_type = f"multipart/form-data; boundary={boundary}"
        try:
            answer, _ = self._asked(
                _TRANSCRIPTIONS, content, media_type, len(audio) // _BYTES_PER_AUDIO_TOKEN, control
            )
        except RejectedError as error:
            if error.status not in _CANNOT:
                raise
            raise _missing(
                "transcribe audio", "INGEST_LLM_TRANSCRIPTION_MODEL to one that does", error
            ) from error
        text = answer.get("text") if isinstance(answer, dict) else None
        if not isinstance(text, str):
            raise _malformed()
        return self._keep(key, text.strip())

    def _completed(self, body: Mapping[str, Any], estimate: int, control: Control) -> Answer:
        """Return the answer to a question, from the cache if it was asked before."""
        key = _digest(self._endpoint.base_url, _CHAT, body)
        if (kept := self._kept(key)) is not None:
            self._usage.add(kept)
            return kept
        answer, tokens = self._asked_plainly(body, estimate, control)
        self._usage.add(Answer("", tokens, cached=False))
        try:
            text = answer["choices"][0]["message"].get("content") or ""
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise _malformed() from error
        return Answer(self._keep(key, without_thoughts(str(text))), tokens, cached=False)

    def _asked_plainly(
        self, body: Mapping[str, Any], estimate: int, control: Control
    ) -> tuple[Any, int]:
        """Ask, leaving out one after the other the parameters that the endpoint refuses."""
        while True:
            with self._lock:
                refused = frozenset(self._refused)
            content = json.dumps(_without(body, refused)).encode()
            try:
                return self._asked(_CHAT, content, "application/json", estimate, control)
            except RejectedError as error:
                named = _named(error.said) & body.keys()
                if error.status not in _OTHER_FORM or not named - refused:
                    raise
                with self._lock:
                    self._refused |= named

    def _asked(
        self, path: str, content: bytes, media_type: str, estimate: int, control: Control
    ) -> tuple[Any, int]:
        """Return what the endpoint answers, and how many tokens that cost."""
        with self._slots.one(control):
            if self._budget is not None:
                self._budget.reserve(estimate)
            spent = 0
            try:
                answer = self._transport.post(path, content, media_type, control)
                spent = _usage(answer, estimate)
            finally:
                if self._budget is not None:
                    self._budget.settle(estimate, spent)
            return answer, spent

    def _kept(self, key: str) -> Answer | None:
        text = None if self._cache is None else self._cache.get(key)
        return None if text is None else Answer(text, 0, cached=True)

    def _keep(self, key: str, text: str) -> str:
        """Keep an answer for the next time, unless there is nothing in it; return it."""
        text = safe_text(text)
        if self._cache is not None and text:
            self._cache.put(key, text)
        return text


def _most_tokens(body: Mapping[str, Any]) -> int:
    """Return how many tokens a question and its answer take at most, about."""
    size = len(json.dumps(body["messages"], ensure_ascii=False).encode())
    return size // _BYTES_PER_TOKEN + int(body["max_tokens"])


def _digest(*parts: Any) -> str:
    """Return a key for what led to an answer; lone surrogates in it do no harm."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _without(body: Mapping[str, Any], refused: frozenset[str]) -> dict[str, Any]:
    plain = {name: value for name, value in body.items() if name not in refused}
    if "max_tokens" in refused:
        plain["max_completion_tokens"] = body["max_tokens"]
    return plain


def _named(said: str) -> set[str]:
    return {name for name, other in _SPARED.items() if name in said or other in said}


def _usage(answer: Any, estimate: int) -> int:
    """Return the tokens that an answer says it took, the estimate if it does not say."""
    usage = answer.get("usage") if isinstance(answer, dict) else None
    total = usage.get("total_tokens") if isinstance(usage, dict) else None
    return total if isinstance(total, int) and total >= 0 else estimate


def _form(fields: Mapping[str, str], audio: bytes, name: str, boundary: str) -> bytes:
    """Return a form with a file, as ``multipart/form-data``."""
    safe_name = "".join(each if each.isalnum() or each in "._-" else "_" for each in name)
    lines = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
        for key, value in fields.items()
    ]
    lines.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{safe_name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    head = "".join(lines).encode("utf-8", "replace")
    return head + audio + f"\r\n--{boundary}--\r\n".encode()


def _missing(what: str, setting: str, error: RejectedError) -> PermanentError:
    return PermanentError(
        ErrorKind.DEPENDENCY_MISSING,
        f"the configured language model cannot {what}: set {setting}, or INGEST_LLM_BASE_URL to an "
        f"endpoint that can ({error.said})",
    )


def _malformed() -> TransientError:
    return TransientError(
        ErrorKind.UNAVAILABLE,
        "the endpoint answered with something that is no answer of a language model: check "
        "INGEST_LLM_BASE_URL, or try again later",
    )
