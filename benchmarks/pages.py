"""Pages of the documentation into which benchmarks write their tables, between two comments."""

from __future__ import annotations


def inserted(page: str, name: str, content: str) -> str:
    """Replace what stands between the two comments of a table."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, rest = page.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n{content}{end}{after}"
