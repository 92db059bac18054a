"""Which arithmetic this machine runs a model fastest in, without changing what it finds.

Belongs here: the choice. Does not belong here: running the model (``runtimes``). A precision is no
part of a model's fingerprint: vectors of the two agree to a cosine of .9999, so that they may share
an index.
"""

from __future__ import annotations

from pathlib import Path

from ingestion_pipeline.settings import EmbeddingPrecision

_CPU_INFO = Path("/proc/cpuinfo")
_MULTIPLIERS = {"amx_bf16", "avx512_bf16"}
"""Intel's matrix unit, and the instructions that AMD's Zen 4 has too. Without either, bfloat16 is
emulated, and slower than float32."""


def chosen(wanted: EmbeddingPrecision, *, on_graphics_card: bool = False) -> EmbeddingPrecision:
    """Return the precision to run in; ``auto`` is bfloat16 where the hardware multiplies in it."""
    if wanted is not EmbeddingPrecision.AUTO:
        return wanted
    fast = _graphics_card_multiplies() if on_graphics_card else _processor_multiplies()
    return EmbeddingPrecision.BFLOAT16 if fast else EmbeddingPrecision.FLOAT32


def _graphics_card_multiplies() -> bool:
    import torch

    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def _processor_multiplies() -> bool:
    return _CPU_INFO.is_file() and not _MULTIPLIERS.isdisjoint(_CPU_INFO.read_text().split())
