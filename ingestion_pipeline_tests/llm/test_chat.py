from __future__ import annotations

import logging
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pydantic import SecretStr

from ingestion_pipeline.errors import (
    ErrorKind,
    IngestError,
    PermanentError,
    StopWorkError,
    TransientError,
)
from ingestion_pipeline.llm import (
    Budget,
    BudgetSpentError,
    ChatModel,
    Endpoint,
    Patience,
    Slots,
    Usage,
)
from ingestion_pipeline_tests.llm.endpoints import IMPATIENT, KEY, Asked, Reply, replies, serving
from ingestion_pipeline_tests.llm.test_limits import Stopped


class Kept(dict[str, str]):
    """A cache in memory."""

    def put(self, key: str, answer: str) -> None:
        self[key] = answer


def ask(model: ChatModel, question: str = "What?", **options: Any) -> str:
    return model.chat("You answer.", question, max_tokens=20, **options).text


def failure(model: ChatModel) -> IngestError:
    with pytest.raises(IngestError) as raised:
        ask(model)
    return raised.value


def test_a_question_is_asked_as_every_endpoint_understands_it() -> None:
    with serving(replies(Reply("<think>hm</think> 42"))) as endpoint:
        answer = endpoint.model().chat(
            "You answer.", "What?", max_tokens=20, temperature=0.2, json_schema={"type": "object"}
        )
        request = endpoint.asked[0]

    assert (answer.text, answer.tokens, answer.cached) == ("42", 7, False)
    assert request.path == "/v1/chat/completions"
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert request.json["model"] == "toy"
    assert request.json["max_tokens"] == 20
    assert request.json["temperature"] == 0.2
    assert [message["role"] for message in request.json["messages"]] == ["system", "user"]
    assert request.json["response_format"]["json_schema"]["schema"] == {"type": "object"}


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_what_may_pass_is_tried_again(status: int) -> None:
    with serving(replies(Reply(status=status), Reply("yes"))) as endpoint:
        assert ask(endpoint.model()) == "yes"
        assert len(endpoint.asked) == 2


@pytest.mark.parametrize("body", [b"<html>", b"", b"\xff\xfe"])
def test_an_answer_that_is_no_json_is_asked_for_again(body: bytes) -> None:
    with serving(replies(Reply(body=body), Reply("yes"))) as endpoint:
        assert ask(endpoint.model()) == "yes"


def test_an_endpoint_says_how_long_to_wait() -> None:
    wait = Reply(status=429, headers={"Retry-After": "0.3"})
    with serving(replies(wait, Reply("yes"))) as endpoint:
        began = time.monotonic()
        assert ask(endpoint.model()) == "yes"
        assert time.monotonic() - began >= 0.3


def test_an_endpoint_that_asks_for_too_much_time_has_failed() -> None:
    wait = Reply(status=429, headers={"Retry-After": "Sun, 06 Nov 2094 08:49:37 GMT"})
    with serving(replies(wait)) as endpoint:
        error = failure(endpoint.model())
        assert len(endpoint.asked) == 1

    assert isinstance(error, TransientError)
    assert error.kind is ErrorKind.UNAVAILABLE


def test_an_endpoint_that_failed_is_left_alone_for_a_while() -> None:
    with serving(replies(Reply(status=500))) as endpoint:
        model = endpoint.model()
        first, second = failure(model), failure(model)
        assert len(endpoint.asked) == IMPATIENT.attempts

    assert "status 500" in first.message
    assert "a moment ago" in second.message
    assert isinstance(second, TransientError)


def test_an_address_where_nothing_listens_is_unavailable() -> None:
    endpoint = Endpoint("http://127.0.0.1:9/v1", "toy")
    error = failure(ChatModel(endpoint, Slots(1), patience=IMPATIENT))

    assert isinstance(error, TransientError)
    assert error.kind is ErrorKind.UNAVAILABLE


@pytest.mark.parametrize(
    ("status", "said", "kind", "named"),
    [
        (401, f"bad key {KEY}", ErrorKind.INVALID_OPTION, "INGEST_LLM_API_KEY"),
        (403, "not yours", ErrorKind.INVALID_OPTION, "INGEST_LLM_API_KEY"),
        (404, f"no model for {KEY}", ErrorKind.INVALID_OPTION, "INGEST_LLM_MODEL"),
        (400, "something", ErrorKind.INVALID_OPTION, "something"),
        (307, "", ErrorKind.INVALID_OPTION, "INGEST_LLM_BASE_URL"),
        (400, "maximum context length is 2048", ErrorKind.TOO_LARGE, "smaller chunks"),
        (413, "", ErrorKind.TOO_LARGE, "smaller chunks"),
        (429, "insufficient_quota", ErrorKind.INVALID_OPTION, "no credit"),
    ],
)
def test_a_rejection_says_what_to_configure_and_shows_no_secret(
    status: int, said: str, kind: ErrorKind, named: str
) -> None:
    body = f'{{"error": {{"message": "{said}"}}}}'.encode()
    with serving(replies(Reply(status=status, body=body))) as endpoint:
        error = failure(endpoint.model())
        assert len(endpoint.asked) == 1

    assert isinstance(error, PermanentError)
    assert error.kind is kind
    assert named in error.message
    assert KEY not in error.message
    assert str(pickle.loads(pickle.dumps(error))) == error.message


def test_parameters_that_an_endpoint_refuses_are_left_out_from_then_on() -> None:
    def handler(request: Asked) -> Reply:
        for name in ("max_tokens", "temperature", "response_format"):
            if name in request.json:
                body = f'{{"error": {{"message": "unknown", "param": "{name}"}}}}'.encode()
                return Reply(status=400, body=body)
        return Reply("yes")

    with serving(handler) as endpoint:
        model = endpoint.model()
        assert ask(model, json_schema={}) == "yes"
        assert len(endpoint.asked) == 4
        assert endpoint.asked[-1].json["max_completion_tokens"] == 20
        assert ask(model, json_schema={}) == "yes"
        assert len(endpoint.asked) == 5


def test_an_endpoint_that_is_silent_times_out() -> None:
    silence = threading.Event()

    def handler(_: Asked) -> Reply:
        silence.wait(3)
        return Reply("late")

    with serving(handler) as endpoint:
        model = endpoint.model(timeout_seconds=0.2, patience=Patience(attempts=1))
        error = failure(model)
        silence.set()

    assert isinstance(error, TransientError)
    assert error.kind is ErrorKind.TIMEOUT


def test_a_request_under_way_can_be_stopped() -> None:
    silence = threading.Event()

    def handler(_: Asked) -> Reply:
        silence.wait(5)
        return Reply("late")

    with serving(handler) as endpoint:
        began = time.monotonic()
        with pytest.raises(StopWorkError):
            ask(endpoint.model(), control=Stopped(0.2))
        assert time.monotonic() - began < 1
        silence.set()


def test_a_wait_for_the_next_attempt_can_be_stopped() -> None:
    wait = Reply(status=429, headers={"Retry-After": "30"})
    with serving(replies(wait)) as endpoint:
        began = time.monotonic()
        with pytest.raises(StopWorkError):
            ask(endpoint.model(patience=Patience()), control=Stopped(0.2))
        assert time.monotonic() - began < 1


def test_a_question_asked_before_costs_nothing() -> None:
    kept = Kept()
    with serving(replies(Reply("yes"))) as endpoint:
        first = endpoint.model(cache=kept).chat("You answer.", "What?", max_tokens=20)
        again = endpoint.model(cache=kept).chat("You answer.", "What?", max_tokens=20)
        assert len(endpoint.asked) == 1
        for other in ({"temperature": 0.5}, {"json_schema": {}}):
            ask(endpoint.model(cache=kept), **other)
        ask(endpoint.model(cache=kept), "What else?")
        assert len(endpoint.asked) == 4

    assert (first.tokens, first.cached) == (7, False)
    assert (again.text, again.tokens, again.cached) == ("yes", 0, True)


def test_a_model_with_another_cache_knows_the_endpoint_as_well() -> None:
    first, second = Kept(), Kept()
    with serving(replies(Reply("yes"), Reply(status=500))) as endpoint:
        model = endpoint.model(cache=first)
        ask(model)
        failure(model.with_cache(second))
        assert len(endpoint.asked) == 1 + IMPATIENT.attempts
        with pytest.raises(TransientError, match="a moment ago"):
            ask(model, "What else?")

    assert (len(first), len(second)) == (1, 0)


def test_an_empty_answer_is_not_kept() -> None:
    kept = Kept()
    with serving(replies(Reply(""), Reply("yes"))) as endpoint:
        assert ask(endpoint.model(cache=kept)) == ""
        assert ask(endpoint.model(cache=kept)) == "yes"


def test_a_budget_ends_questions_before_they_are_sent() -> None:
    with serving(replies(Reply("yes", tokens=70))) as endpoint:
        model = endpoint.model(budget=Budget(150))
        ask(model, "One?")
        ask(model, "Two?")
        with pytest.raises(BudgetSpentError):
            ask(model, "Three?")
        assert len(endpoint.asked) == 2


def test_an_endpoint_that_does_not_count_tokens_is_estimated() -> None:
    with serving(replies(Reply("yes", tokens=None))) as endpoint:
        answer = endpoint.model().chat("You answer.", "word " * 300, max_tokens=20)

    assert 400 < answer.tokens < 700


def test_a_failed_request_spends_nothing() -> None:
    budget = Budget(1000)
    with serving(replies(Reply(status=400))) as endpoint:
        failure(endpoint.model(budget=budget))

    assert budget.left == 1000


def test_no_more_requests_than_slots_are_under_way() -> None:
    under_way, most, lock = 0, 0, threading.Lock()

    def handler(_: Asked) -> Reply:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        time.sleep(0.02)
        with lock:
            under_way -= 1
        return Reply("yes")

    with serving(handler) as endpoint, ThreadPoolExecutor(8) as pool:
        model = endpoint.model(slots=Slots(3))
        assert list(pool.map(lambda n: ask(model, f"{n}?"), range(12))) == ["yes"] * 12

    assert most <= 3


def test_any_text_is_sent_whole() -> None:
    text = "lone \ud800 surrogate, \0, <|im_end|>, 日本語, " + "x" * 200_000
    with serving(replies(Reply("\ud800 yes"))) as endpoint:
        assert ask(endpoint.model(cache=Kept()), text) == "\ufffd yes"
        sent = endpoint.asked[0].user

    assert sent.startswith("lone \ufffd surrogate,  , < |im_end| >, 日本語, xxx")
    assert len(sent) > 200_000


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"choices": []}', b'{"choices": [{}]}', b"null"])
def test_an_answer_of_something_else_is_typed(body: bytes) -> None:
    with serving(replies(Reply(body=body))) as endpoint:
        assert isinstance(failure(endpoint.model()), TransientError)


def test_a_picture_is_described() -> None:
    kept = Kept()
    with serving(replies(Reply("A red square."))) as endpoint:
        for _ in range(2):
            text = endpoint.model(cache=kept).describe(b"\x89PNG", "image/png", "What is it?")
            assert text == "A red square."
        (request,) = endpoint.asked

    parts = request.json["messages"][0]["content"]
    assert [part["type"] for part in parts] == ["text", "image_url"]
    assert parts[1]["image_url"]["url"] == "data:image/png;base64,iVBORw=="


@pytest.mark.parametrize("status", [400, 404, 415, 422, 500, 501])
def test_an_endpoint_without_eyes_or_ears_says_what_to_configure(status: int) -> None:
    body = b'{"error": {"message": "this input is not supported"}}'
    with serving(replies(Reply(status=status, body=body))) as endpoint:
        with pytest.raises(PermanentError, match="INGEST_LLM_VISION_MODEL") as blind:
            endpoint.model().describe(b"\x89PNG", "image/png", "What is it?")
        with pytest.raises(PermanentError, match="INGEST_LLM_TRANSCRIPTION_MODEL") as deaf:
            endpoint.model().transcribe(b"RIFF", "talk.wav")

    assert blind.value.kind is deaf.value.kind is ErrorKind.DEPENDENCY_MISSING


def test_audio_is_transcribed() -> None:
    kept = Kept()
    with serving(replies(Reply(body=b'{"text": " Hello there. "}'))) as endpoint:
        for _ in range(2):
            text = endpoint.model(cache=kept).transcribe(b"RIFF\r\n--\0", 'my "talk".wav')
            assert text == "Hello there."
        (request,) = endpoint.asked

    assert request.path == "/v1/audio/transcriptions"
    boundary = request.headers["Content-Type"].partition("boundary=")[2]
    parts = request.body.split(f"--{boundary}".encode())
    assert len(parts) == 5
    assert b'name="model"\r\n\r\ntoy\r\n' in parts[1]
    assert b'filename="my__talk_.wav"' in parts[3]
    assert parts[3].endswith(b"\r\n\r\nRIFF\r\n--\0\r\n")


def test_what_was_asked_is_counted_and_what_will_be_is_foreseen() -> None:
    usage, kept = Usage(), Kept()
    with serving(replies(Reply("yes"))) as endpoint:
        model = endpoint.model(cache=kept, budget=Budget(1000)).metered(usage)
        before = model.foreseen("You answer.", "What?", max_tokens=20)
        assert endpoint.asked == []
        ask(model)
        ask(model.with_cache(kept))

    assert (usage.calls, usage.tokens, usage.cached) == (1, 7, 1)
    assert before > 20
    assert model.foreseen("You answer.", "What?", max_tokens=20) == 0
    assert model.budget_left == 993


@pytest.mark.parametrize(
    "options",
    [
        {"base_url": "localhost:8000"},
        {"base_url": "ftp://host/v1"},
        {"base_url": "http://"},
        {"base_url": "http://höst/v1"},
        {"base_url": "http://host/v1", "api_key": SecretStr("sk-1\n")},
    ],
)
def test_an_endpoint_that_cannot_be_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(PermanentError, match="INGEST_LLM_") as raised:
        Endpoint(model="toy", **options)

    assert raised.value.kind is ErrorKind.INVALID_OPTION
    assert "sk-1" not in str(raised.value)


def test_nothing_shows_the_secret(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), serving(replies(Reply("yes"))) as endpoint:
        ask(endpoint.model())
    endpoint_of = Endpoint("http://host/v1", "toy", SecretStr(KEY))

    assert KEY not in caplog.text
    assert KEY not in repr(endpoint_of)
