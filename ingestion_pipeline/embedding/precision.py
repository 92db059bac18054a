"""Which arithmetic this machine runs a model fastest in, without changing what it finds.

Belongs here: the choice. Does not belong here: running the model (``embedder``). A precision is no
part of a model's fingerprint: vectors of the two agree to a cosine of .9999, so that they may share
an index.
"""

from __future__ import annotations

from pathlib import Path

from ingestion_pipeline.settings import EmbeddingPrecision

_CPU_INFO = Path("/proc/cpuinfo")
_MATRIX_UNIT = "amx_bf16"
"""Intel's matrix unit. Without one, bfloat16 is emulated, and slower than float32."""


def chosen(wanted: EmbeddingPrecision) -> EmbeddingPrecision:
    """Return the precision to run in; ``auto`` is bfloat16 where the hardware multiplies in it."""
    if wanted is not EmbeddingPrecision.AUTO:
        return wanted
    return EmbeddingPrecision.BFLOAT16 if _multiplies_bfloat16() else EmbeddingPrecision.FLOAT32


def _multiplies_bfloat16() -> bool:
    import torch

    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return _CPU_INFO.is_file() and _MATRIX_UNIT in _CPU_INFO.read_text().split()
