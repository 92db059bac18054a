"""Texts of documents in files that leave: pages for the browser, and XML.

Names and texts come from documents, which anybody may have written: wherever they are put, they are
text and nothing else, whatever they look like.

Belongs here: how a page is filled so that it needs nothing else and runs only its own script. Does
not belong here: the pages themselves, and what is shown on them (``raptor``, ``graph``).
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re

_NO_SIGN = re.compile("[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What moves the cursor, breaks the line or turns its direction; and halves of signs."""
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no place for."""


def filled(page: str, title: str, data: object) -> str:
    """Return a page with its title and its data; it needs neither a server nor a network.

    Args:
        page: With ``<!--policy-->``, ``<!--title-->`` and ``<!--data-->`` where these belong, one
            ``<script>`` and one ``<style>``: nothing else is run or loaded.
        title: Any text.
        data: What can be written as JSON.
    """
    policy = [f"{element}-src {_hash(page, element)}" for element in ("script", "style")]
    written = json.dumps(data, separators=(",", ":")).replace("<", r"\u003c")
    return (
        page.replace("<!--policy-->", "; ".join(("default-src 'none'", *policy)))
        .replace("<!--title-->", html.escape(one_line(title)))
        .replace("<!--data-->", written)
    )


def one_line(text: str) -> str:
    """Return a text as one line that can be written; one without any sign as an ellipsis."""
    return " ".join(_NO_SIGN.sub(" ", text).split()) or "…"


def for_xml(text: str) -> str:
    """Return a text without what XML has no place for; it is still to be escaped."""
    return _NO_XML.sub(" ", text)


def _hash(page: str, element: str) -> str:
    """Return what a content security policy knows an element of the page by."""
    (content,) = re.findall(rf"<{element}>(.*?)</{element}>", page, re.DOTALL)
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
