from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_pipeline.graph.normal_form import digits, folded, normal_form, singular
from ingestion_pipeline.model.graph import EntityType


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        ("The Beatles", "Beatles", EntityType.OTHER),
        ("Acme, Inc.", "ACME", EntityType.ORGANIZATION),
        ("Müller GmbH & Co. KG", "Müller", EntityType.ORGANIZATION),
        ("Dr. Ada Lovelace", "Ada Lovelace", EntityType.PERSON),
        ("Ada Lovelace's", "Ada Lovelace", EntityType.PERSON),
        ("O’Brien", "O'Brien", EntityType.PERSON),  # noqa: RUF001
        ("U.S.", "US", EntityType.PLACE),
        ("Spider-Man", "Spider Man", EntityType.WORK),
        ("ﬁsh", "fish", EntityType.CONCEPT),
    ],
)
def test_ways_of_writing_one_name_have_one_normal_form(
    one: str, other: str, kind: EntityType
) -> None:
    assert normal_form(one, kind) == normal_form(other, kind)


@pytest.mark.parametrize(
    ("one", "other"),
    [("C", "C++"), ("Apollo 11", "Apollo 12"), ("version 3.5", "version 35"), ("A", "B")],
)
def test_different_names_keep_different_forms(one: str, other: str) -> None:
    assert normal_form(one) != normal_form(other)


def test_a_name_is_never_left_out_altogether() -> None:
    assert normal_form("The The") == "the"
    assert normal_form("Dr.", EntityType.PERSON) == "dr"
    assert normal_form("Inc.", EntityType.ORGANIZATION) == "inc"


def test_what_has_no_letters_is_no_name() -> None:
    assert normal_form("—…&") == ""


@pytest.mark.parametrize(
    ("plural", "one"),
    [
        ("neural networks", "neural network"),
        ("studies", "study"),
        ("boxes", "box"),
        ("virus", "virus"),
        ("analysis", "analysis"),
        ("mass", "mass"),
        ("red cells", "red cell"),
    ],
)
def test_the_last_word_is_put_in_the_singular(plural: str, one: str) -> None:
    assert singular(plural) == one


def test_accents_and_blanks_fold() -> None:
    assert folded("j r r tolkien") == folded("jrr tolkien")
    assert folded("beyoncé") == "beyonce"


def test_numbers_are_seen_also_as_roman_ones() -> None:
    assert digits("henry viii") != digits("henry vii")
    assert digits("world war ii") == ("ii",)


@given(st.text(), st.sampled_from(EntityType))
def test_the_normal_form_of_a_normal_form_of_a_name_is_a_name_or_nothing(
    text: str, kind: EntityType
) -> None:
    key = normal_form(text, kind)

    assert key == key.strip()
    assert not key or any(map(str.isalnum, key))
