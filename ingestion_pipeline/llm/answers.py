"""Texts on their way to a language model, and JSON on its way back.

Belongs here: what makes any text safe to send, and what finds the data in an answer. Does not
belong here: what an answer means.
"""

from __future__ import annotations

import json
import re
from typing import Any

_THOUGHTS = re.compile(r"^.*</think>", re.DOTALL)
_FENCED = re.compile(r"```(?:\w+)?\s*(.*?)(?:```|$)", re.DOTALL)
_CONTROL_TOKEN = re.compile(r"<(\|[^|<>\n]{1,40}\||/?s|(?:start|end)_of_turn)>|\[(/?INST)\]")
"""How models mark turns; in a document they would end its quotation."""


def safe_text(text: str) -> str:
    """Return the text without what breaks requests: lone surrogates, NUL, marks of turns."""
    valid = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", " ")
    return _CONTROL_TOKEN.sub(lambda mark: f"< {mark[1] or mark[2]} >", valid)


def without_thoughts(text: str) -> str:
    """Return an answer without the thoughts that some models write before it."""
    return _THOUGHTS.sub("", text).strip()


def read_json(text: str) -> Any:
    """Return the JSON value in a model's answer, None if there is none.

    Reads through code fences, prose around it, trailing commas, single quotes and a cut end.
    """
    text = without_thoughts(text)
    if fenced := _FENCED.search(text):
        text = fenced[1]
    starts = [position for position in map(text.find, "{[") if position >= 0]
    if not starts:
        return None
    text = text[min(starts) :]
    try:
        return json.JSONDecoder(strict=False).raw_decode(text)[0]
    except (ValueError, RecursionError):
        return _repaired(text)


def _repaired(text: str) -> Any:
    import json_repair

    try:
        value = json_repair.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, (dict, list)) else None
