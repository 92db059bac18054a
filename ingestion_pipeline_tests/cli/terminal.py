"""Running commands and looking at what they say."""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

import pytest

from ingestion_pipeline.cli.app import run


@dataclass(frozen=True)
class Said:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, all of which is JSON."""
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The one line that it said on stderr before it failed."""
        assert self.code == 1, self
        assert self.out == ""
        (line,) = self.err.splitlines()
        return line


def said(*arguments: str) -> Said:
    """Run a command as the console script does, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["ingest", *arguments])
        with pytest.raises(SystemExit) as ended:
            run()
    code = ended.value.code
    assert code is None or isinstance(code, int)
    return Said(code or 0, out.getvalue(), err.getvalue())
