"""Makes faults happen inside the processes of `ingest up`, at chosen points of the product's code.

Python imports this module by itself when its folder is on ``PYTHONPATH``; so the product needs
nothing for it. A fault is a file in the folder that ``FAULTS`` names, called after its point, and
happens once, to whichever process comes by first with a document that the fault is about:
``{"document": part of its name, "action": …}``; ``faults.Action`` says which there are. That
process moves the file to ``struck`` with its pid and the time, and then is killed, is stopped as by
SIGSTOP, or waits until the file is gone.

``FAULTS_MODEL=fake`` also gives runs the tests' small embedding model: most of what a run's process
costs is loading a real one, which has nothing to do with faults. Many texts take it long, too.
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

LONGEST_HOLD_SECONDS = 120
MANY_TEXTS = 500
TEXTS_PER_BATCH = 16
SECONDS_PER_BATCH = 0.1
"""About what a real model takes."""


def strike(point: str, names: Iterable[str]) -> str | None:
    """Let the faults happen that are meant for this point and one of these documents.

    Returns the last action.
    """
    happened = None
    folder = Path(os.environ["FAULTS"])
    names = list(names)
    for file in sorted(folder.glob(f"{point}.*")):
        try:
            fault = json.loads(file.read_text())
            if not any(fault["document"] in name for name in names):
                continue
            file.unlink()  # of two processes, it happens to the one that succeeds
        except FileNotFoundError:
            continue
        happened = fault["action"]
        _act(happened, folder / "struck" / file.name, fault)
    return happened


def _act(action: str, struck: Path, fault: dict[str, Any]) -> None:
    aside = struck.with_name(f".{struck.name}")
    aside.write_text(json.dumps({**fault, "pid": os.getpid(), "at": time.time()}))
    aside.rename(struck)
    if action == "deaf":
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if action in {"hold", "deaf"}:
        deadline = time.monotonic() + LONGEST_HOLD_SECONDS
        while struck.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
    elif action in {"kill", "stop"}:
        os.kill(os.getpid(), signal.SIGKILL if action == "kill" else signal.SIGSTOP)


def _at_entry(point: str, names_of: Callable[..., Iterable[str]]) -> Callable[[Any], Any]:
    def wrap(function: Any) -> Any:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            strike(point, names_of(*args, **kwargs))
            return function(*args, **kwargs)

        return wrapper

    return wrap


def _after_last_check(publish: Any) -> Any:
    """Wrap the callback that ``CollectionIndex.publish`` calls right before each commit."""

    @functools.wraps(publish)
    def wrapper(self: Any, documents: Sequence[Any], *args: Any, **kwargs: Any) -> Any:
        check = kwargs.get("before_commit")

        def check_and_strike() -> None:
            if check is not None:
                check()
            strike("checked", [document.name for document in documents])

        return publish(self, documents, *args, **{**kwargs, "before_commit": check_and_strike})

    return wrapper


def _elsewhere(begin: Any) -> Any:
    """Wrap ``Runs.begin``: the run may say that its process is on another machine."""

    @functools.wraps(begin)
    def wrapper(
        self: Any, run_id: str, collection_key: str, process: str, lease_seconds: float
    ) -> None:
        if strike("begun", [collection_key]) == "elsewhere":
            process = f"elsewhere-{process}"
        begin(self, run_id, collection_key, process, lease_seconds)

    return wrapper


def _fake_model(embedder: Any) -> Any:
    """Replace ``Services.embedder``."""

    def fake(self: Any, collection: Any) -> Any:
        from ingestion_pipeline_tests.fakes import FakeEmbedder

        class Slow(FakeEmbedder):
            def encode(self, texts: Any, control: Any) -> Any:
                if len(texts) >= MANY_TEXTS:
                    for _ in range(0, len(texts), TEXTS_PER_BATCH):
                        control.check()
                        time.sleep(SECONDS_PER_BATCH)
                return super().encode(texts, control)

        return Slow(collection.searched_model or self.configured_model(collection))

    return fake if os.environ.get("FAULTS_MODEL") == "fake" else embedder


def _of_work(work: Any, *_: Any, **__: Any) -> list[str]:
    return [work.document.name]


def _of_name(_data: bytes, name: str, *_: Any, **__: Any) -> list[str]:
    return [name]


def _of_works(works: Any, *_: Any, **__: Any) -> list[str]:
    return [work.document.name for work in works]


def _of_claim(_self: Any, claim: Any, *_: Any, **__: Any) -> list[str]:
    return [document.name for document in claim.documents]


def _of_tasks(_self: Any, tasks: Any, *_: Any, **__: Any) -> list[str]:
    return [task.document.name for task in tasks if task.document]


PACKAGE = "ingestion_pipeline"
WRAPPERS: dict[str, dict[str, Callable[[Any], Any]]] = {
    f"{PACKAGE}.stages.sourced": {"run": _at_entry("sourced", _of_work)},
    f"{PACKAGE}.stages.parsed": {"run": _at_entry("parsed", _of_work)},
    f"{PACKAGE}.parsing.factory": {"parse": _at_entry("parsing", _of_name)},
    f"{PACKAGE}.stages.chunked": {"run": _at_entry("chunked", _of_work)},
    f"{PACKAGE}.stages.embedded": {"run": _at_entry("embedded", _of_works)},
    f"{PACKAGE}.stages.indexed": {"run": _at_entry("indexed", _of_works)},
    f"{PACKAGE}.indexing.index": {"CollectionIndex.publish": _after_last_check},
    f"{PACKAGE}.registry.runs": {"Runs.begin": _elsewhere},
    f"{PACKAGE}.registry.claims": {"Claims.record": _at_entry("recorded", _of_claim)},
    f"{PACKAGE}.tasks.services": {"Services.embedder": _fake_model},
    f"{PACKAGE}.registry.tasks": {"Tasks.accept": _at_entry("accepted", _of_tasks)},
}


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules above as Python would, and wraps their functions once they are loaded."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        wrappers = WRAPPERS.get(name)
        spec = importlib.machinery.PathFinder.find_spec(name, path, target) if wrappers else None
        if spec is None or spec.loader is None or wrappers is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_wrap(module: ModuleType) -> None:
            execute(module)
            for qualified, wrap in wrappers.items():
                owner_name, _, attribute = qualified.rpartition(".")
                owner = getattr(module, owner_name) if owner_name else module
                setattr(owner, attribute, wrap(getattr(owner, attribute)))

        spec.loader.exec_module = execute_and_wrap  # type: ignore[method-assign]
        return spec


if "FAULTS" in os.environ:
    sys.meta_path.insert(0, _Finder())
