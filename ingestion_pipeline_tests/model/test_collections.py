from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.collections import (
    DEFAULT_TENANT,
    NAME_PATTERN,
    ChunkStrategy,
    CollectionConfig,
    CollectionName,
    ParserKind,
)

names = st.from_regex(NAME_PATTERN, fullmatch=True)
tricky = st.from_regex(r"[a_1][a_1.-]{0,5}", fullmatch=True).filter(NAME_PATTERN.fullmatch)
tenants = st.one_of(st.just(DEFAULT_TENANT), tricky, names)
collection_names = st.builds(CollectionName, tenants, st.one_of(tricky, names))


@given(collection_names, collection_names)
def test_two_collections_never_share_a_key_or_a_table(
    first: CollectionName, second: CollectionName
) -> None:
    assert (first.key == second.key) == (first == second)
    assert (first.table == second.table) == (first == second)


@given(tricky, tricky, tricky, tricky)
def test_names_that_run_into_each_other_are_told_apart(a: str, b: str, c: str, d: str) -> None:
    first, second = CollectionName(a, f"{b}_{c}"), CollectionName(f"{a}_{b}", c)
    assert first.table != second.table
    assert CollectionName(DEFAULT_TENANT, d).table not in (first.table, second.table)


@given(collection_names)
def test_a_key_leads_back_to_its_name(name: CollectionName) -> None:
    assert CollectionName.from_key(name.key) == name


@given(collection_names)
def test_a_table_is_one_part_of_a_path_and_not_hidden(name: CollectionName) -> None:
    assert "/" not in name.table
    assert not name.table.startswith(".")
    assert len(name.table) <= 132


@pytest.mark.parametrize(
    "bad",
    ["", "Up", "a b", "a/b", "..", ".a", "_a", "-a", "a" * 64, "ä", "a\n", "a\0", "\ud800"],
)
def test_names_that_could_do_harm_are_refused_in_one_printable_line(bad: str) -> None:
    for arguments in ((bad, "docs"), ("tenant", bad)):
        with pytest.raises(PermanentError) as raised:
            CollectionName(*arguments)
        assert raised.value.kind is ErrorKind.INVALID_OPTION
        assert raised.value.message.isprintable()


def test_options_in_groups_are_written_with_dots() -> None:
    config = CollectionConfig().updated(
        {"parser": "laws", "chunker": "rows", "enrichment.keywords": 5, "enrichment.toc": True}
    )

    assert (config.parser, config.chunker) == (ParserKind.LAWS, ChunkStrategy.ROWS)
    assert (config.enrichment.keywords, config.enrichment.toc) == (5, True)
    assert config.flat()["enrichment.keywords"] == 5


def test_none_restores_the_default_of_an_option_in_a_group_alone() -> None:
    config = CollectionConfig().updated({"enrichment.keywords": 5, "enrichment.questions": 2})

    restored = config.updated({"enrichment.keywords": None})

    assert (restored.enrichment.keywords, restored.enrichment.questions) == (0, 2)


def test_a_change_keeps_what_was_set_before_and_is_what_is_stored() -> None:
    config = CollectionConfig().updated({"enrichment.metadata": {"author": "who wrote it"}})

    again = config.updated({"chunk_overlap": 8})

    assert again.enrichment.metadata == {"author": "who wrote it"}
    assert again.model_dump(mode="json", exclude_unset=True) == {
        "enrichment": {"metadata": {"author": "who wrote it"}},
        "chunk_overlap": 8,
    }


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"enrichment.keyword": 1}, "did you mean 'enrichment.keywords'"),
        ({"chunkr": "one"}, "did you mean 'chunker'"),
        ({"enrichment.keywords": 31}, "'enrichment.keywords'"),
        ({"parser": "novel"}, "'general', 'paper', 'book'"),
    ],
)
def test_what_is_not_known_or_not_possible_is_refused(
    changes: dict[str, object], said: str
) -> None:
    with pytest.raises(PermanentError) as raised:
        CollectionConfig().updated(changes)
    assert raised.value.kind is ErrorKind.INVALID_OPTION
    assert said in raised.value.message
