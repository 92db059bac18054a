from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ingestion_pipeline.registry import multiset

members = st.lists(st.text(max_size=5))


def of(added: list[str]) -> str:
    return multiset.replace(multiset.EMPTY, [], added)


@given(members, st.randoms())
def test_the_order_of_members_does_not_matter(added: list[str], random: object) -> None:
    shuffled = list(added)
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    assert of(shuffled) == of(added)


@given(members, members)
def test_taking_out_undoes_putting_in(kept: list[str], passing: list[str]) -> None:
    assert multiset.replace(of(kept + passing), passing, []) == of(kept)


@given(members, members)
def test_members_may_come_one_by_one_or_all_at_once(first: list[str], second: list[str]) -> None:
    assert multiset.replace(of(first), [], second) == of(first + second)


@given(members, members)
def test_different_multisets_have_different_hashes(first: list[str], second: list[str]) -> None:
    assert (of(first) == of(second)) == (sorted(first) == sorted(second))


@given(members, members)
def test_a_hash_has_64_hexadecimal_digits(kept: list[str], removed: list[str]) -> None:
    total = multiset.replace(of(kept), removed, [])

    assert len(total) == 64
    assert int(total, 16) >= 0
