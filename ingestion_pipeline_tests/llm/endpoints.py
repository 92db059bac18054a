"""Endpoints that answer as a test says, on a real socket."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pydantic import SecretStr

from ingestion_pipeline.llm import ChatModel, Endpoint, Patience, Slots

KEY = "sk-very-secret-1234"
IMPATIENT = Patience(attempts=3, first_wait=0.01, longest_wait=0.5)


@dataclass
class Asked:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def user(self) -> str:
        return str(self.json["messages"][-1]["content"])

    @property
    def system(self) -> str:
        return str(self.json["messages"][0]["content"])


@dataclass
class Reply:
    """What to answer: a chat completion of ``text``, or whatever else is given."""

    text: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    tokens: int | None = 7

    def encoded(self) -> bytes:
        if self.body is not None:
            return self.body
        message = {"role": "assistant", "content": self.text}
        answer: dict[str, Any] = {"choices": [{"index": 0, "message": message}]}
        if self.tokens is not None:
            answer["usage"] = {"total_tokens": self.tokens}
        return json.dumps(answer).encode()


@dataclass
class Running:
    """An endpoint that runs, and what it was asked so far."""

    url: str
    asked: list[Asked]

    def model(self, **options: Any) -> ChatModel:
        endpoint = Endpoint(self.url, "toy", SecretStr(KEY), options.pop("timeout_seconds", 5.0))
        slots = options.pop("slots", Slots(4))
        return ChatModel(endpoint, slots, **{"patience": IMPATIENT, **options})


@contextmanager
def serving(handler: Callable[[Asked], Reply]) -> Iterator[Running]:
    asked: list[Asked] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            request = Asked(self.path, dict(self.headers.items()), body)
            asked.append(request)
            reply = handler(request)
            data = reply.encoded()
            try:
                self.send_response(reply.status)
                for name, value in {**reply.headers, "Content-Length": str(len(data))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)
            except ConnectionError:
                pass  # whoever asked is gone

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield Running(f"http://127.0.0.1:{server.server_port}/v1", asked)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def replies(*given: Reply) -> Callable[[Asked], Reply]:
    """Answer with one after the other, with the last one for ever."""
    left = list(given)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]
