"""Runs one function on arrays in a process of its own, so that it can be stopped at any moment.

Native code that computes for a minute asks no ``Control``; a process can be killed. It is started
as a program, since daemonic processes, such as a Celery worker's, may have no ``multiprocessing``
children, and gets and gives its arrays in files without a name, so that nothing can be left over.

Belongs here: that process's life. Does not belong here: what is computed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any

from ingestion_pipeline.children import die_with
from ingestion_pipeline.control import Control
from ingestion_pipeline.errors import ErrorKind, TransientError
from ingestion_pipeline.settings import untracked_environment

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_POLL_SECONDS = 0.1


def call(
    function: Callable[..., NDArray[Any]], control: Control, **arguments: ArrayLike
) -> NDArray[Any]:
    """Return what ``function`` makes of ``arguments``, computed in a child process.

    Args:
        function: A public function of a module; it gets its arguments as arrays.
        control: Asked all the time; the child is killed as soon as it raises.
        arguments: Numbers or arrays of numbers.

    Raises:
        TransientError: ``crashed`` if the child died or the function failed.
    """
    import numpy as np

    with TemporaryFile() as request, TemporaryFile() as reply, TemporaryFile() as complaints:
        np.savez(request, **arguments)  # type: ignore[arg-type]  # any names are as good
        request.seek(0)
        place = (function.__module__, function.__name__)
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            (sys.executable, "-m", __name__, str(os.getpid()), *place),
            stdin=request,
            stdout=reply,
            stderr=complaints,
            start_new_session=True,  # Ctrl-C is the parent's to handle
            env=untracked_environment(),
        )
        try:
            _await(child, control)
        finally:
            child.kill()
            child.wait()
        if child.returncode:
            raise _crash(child.returncode, complaints)
        reply.seek(0)
        answer: NDArray[Any] = np.load(reply)
        return answer


def _await(child: subprocess.Popen[bytes], control: Control) -> None:
    while True:
        control.check()
        try:
            child.wait(_POLL_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        return


def _crash(code: int, complaints: IO[bytes]) -> TransientError:
    complaints.seek(0)
    last = complaints.read().decode(errors="replace").strip().rpartition("\n")[2]
    cause = last or (f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}")
    return TransientError(ErrorKind.CRASHED, f"the process that clusters crashed ({cause})")


def main(parent: int, module: str, name: str) -> None:
    """Answer the request on standard input on standard output."""
    import numpy as np

    die_with(parent)
    reply = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not come between
    with np.load(sys.stdin.buffer) as request:
        arguments = dict(request)
    answer = getattr(import_module(module), name)(**arguments)
    with reply:
        np.save(reply, answer)


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
