"""A parser child that does what the name of a document says; started as a script."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time

from ingestion_pipeline.errors import ErrorKind, TransientError
from ingestion_pipeline.model.collections import Partitioner
from ingestion_pipeline.model.elements import Element, ElementCategory, ParsedDocument
from ingestion_pipeline.parsing import parse, pulse
from ingestion_pipeline.parsing.child import serve

MIB = 1024 * 1024


def abort_while_holding(_: bytearray) -> None:
    os.abort()


def sleep_while_holding(_: bytearray) -> None:
    time.sleep(600)


def misbehave(  # noqa: C901 - one case each
    data: bytes,
    name: str,
    password: str | None = None,
    partitioner: Partitioner = Partitioner.NATIVE,
) -> ParsedDocument:
    match name:
        case "pid":
            text = str(os.getpid())
            return ParsedDocument("x", (Element(ElementCategory.NARRATIVE_TEXT, text),))
        case "hang":
            time.sleep(600)
        case "hang while holding":
            sleep_while_holding(bytearray(b"x") * (300 * MIB))
        case "slow":
            time.sleep(0.8)
            return misbehave(data, "pid")
        case "long, with signs of life":
            for _ in range(4):
                time.sleep(0.3)
                pulse.beat()
            return misbehave(data, "pid")
        case "signs of life, then a hang":
            pulse.beat()
            time.sleep(600)
        case "too much memory":
            return misbehave(bytes(1024 * MIB), "pid")
        case "abort for want of memory":
            abort_while_holding(bytearray(b"x") * (300 * MIB))
        case "segmentation fault":
            ctypes.string_at(0)
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(3)
        case "noise":
            sys.stdout.write("noise on standard output\n")
            os.write(1, b"noise on the descriptor")
        case "input":
            return misbehave(sys.stdin.buffer.read(1), "pid")
        case "transient":
            raise TransientError(ErrorKind.UNAVAILABLE, "come back later")
    return parse(data, name, password, partitioner)


if __name__ == "__main__":
    serve(misbehave, sys.argv[1:])
