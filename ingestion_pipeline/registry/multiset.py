"""An incremental hash of a multiset: adding and removing members costs no look at the others.

Sums SHA-256 hashes modulo 2^256 (MSet-Add-Hash of Clarke, Devadas, van Dijk, Gassend and Suh,
2003). It tells versions apart; it does not guard against someone who forges members.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

_MODULUS = 1 << 256
EMPTY = f"{0:064x}"


def replace(total: str, removed: Iterable[str], added: Iterable[str]) -> str:
    """Return the hash (64 hex digits) after taking members out and putting members in."""
    value = int(total, 16)
    value -= sum(map(_hash, removed))
    value += sum(map(_hash, added))
    return f"{value % _MODULUS:064x}"


def _hash(member: str) -> int:
    return int.from_bytes(hashlib.sha256(member.encode()).digest(), "big")
