from __future__ import annotations

import pytest

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.enrichment import TagModel
from ingestion_pipeline.enrichment.tags import asked_tags
from ingestion_pipeline_tests.llm.endpoints import Reply, replies, serving

EXAMPLES = [
    ("The mortgage rate of the bank rose again.", ("finance",)),
    ("Banks lend money at a mortgage rate.", ("finance", "credit")),
    ("The striker scored a goal in the final match.", ("sport",)),
    ("A goalkeeper saved the match with a leap.", ("sport",)),
    ("劳动合同由用人单位与劳动者订立", ("法律",)),
    ("a text without tags", ()),
]


def test_the_nearest_examples_give_their_tags() -> None:
    model = TagModel.learn(EXAMPLES)

    assert model.tags_for(["mortgage rate", "bank"], "en")[0] == ("finance", 10)
    assert model.tags_for(["match", "goalkeeper"], "en") == (("sport", 10),)
    assert model.tags_for(["书面劳动合同"], "zh") == (("法律", 10),)


def test_where_nothing_is_alike_no_tag_is_given() -> None:
    model = TagModel.learn(EXAMPLES)

    assert model.tags_for(["quantum", "entanglement"], "en") == ()
    assert model.tags_for([], "en") == ()
    assert TagModel.learn([]).tags_for(["bank"], "en") == ()


def test_a_large_collection_scores_by_how_much_oftener_a_tag_is_near() -> None:
    common = [(f"weather report number{n} rain wind", ("weather",)) for n in range(20_000)]
    rare = [(f"volcano lava eruption crater{n}", ("volcano", "weather")) for n in range(50)]
    model = TagModel.learn(common + rare)

    # 100 tags near: 0.1 * (50 + 1) / (100 + 1000) / ((50 + 1) / (20100 + 1000)) = 1.9
    assert model.tags_for(["volcano", "lava", "eruption"], "en") == (("volcano", 2),)


def test_tags_are_known_in_the_order_in_which_they_came() -> None:
    assert TagModel.learn(EXAMPLES).tags == ["finance", "sport", "credit", "法律"]


def test_the_examples_for_the_model_are_the_nearest_ones() -> None:
    model = TagModel.learn(EXAMPLES)

    assert [example.tags for example in model.nearest(["goal", "match", "leap", "goalkeeper"])] == [
        ("sport",),
        ("sport",),
    ]
    assert [example.tags for example in model.nearest(["quantum"])] == [("finance",), ("sport",)]


@pytest.mark.parametrize(
    ("answer", "tags"),
    [
        ('{"sport": 8, "finance": 2}', (("sport", 8), ("finance", 2))),
        ("```json\n{'Sport': '9', 'invented': 10,}\n```", (("sport", 9),)),
        ('{"sport": 99, "finance": 0, "credit": "much"}', (("sport", 10),)),
        ('{"sport": NaN, "finance": -1, "credit": 1' + "0" * 400 + "}", ()),
        ('["sport"]', ()),
        ("I cannot tell.", ()),
    ],
)
def test_a_model_chooses_among_the_known_tags(
    answer: str, tags: tuple[tuple[str, int], ...]
) -> None:
    model = TagModel.learn(EXAMPLES)

    with serving(replies(Reply(answer))) as endpoint:
        asked = asked_tags("A match.", ["match", "goal"], model, endpoint.model(), NoControl())
        (request,) = endpoint.asked

    assert asked.values == tags
    assert asked.tokens == 7
    assert "The striker scored a goal" in request.system
    assert '"credit"' in request.system
    assert "<text>\nA match.\n</text>" in request.user
