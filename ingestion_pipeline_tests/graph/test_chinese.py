"""Reading Chinese, with the model and, where that is not installed, without."""

# ruff: noqa: RUF001 - punctuation as it is printed

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion_pipeline import installed
from ingestion_pipeline.control import NoControl
from ingestion_pipeline.errors import LeaseLostError
from ingestion_pipeline.graph import document_graphs
from ingestion_pipeline.model.graph import DocumentGraph, EntityType
from ingestion_pipeline_tests.graph.documents import document, named, read, stated, whole


def graph_of(*texts: str) -> DocumentGraph:
    [graph] = read(document("d", *texts, language="zh"))
    return graph


def types(graph: DocumentGraph) -> dict[str, EntityType]:
    return {entity.name: entity.type for entity in graph.entities}


def test_names_get_the_type_of_what_they_name() -> None:
    graph = graph_of(
        "陈立群于1998年在杭州创办了西湖光学公司。他读过《海岸的灯塔》，也用过iPhone。",
        "今天天气很好。",
    )

    assert types(graph) == {
        "陈立群": EntityType.PERSON,
        "1998年": EntityType.DATE,
        "杭州": EntityType.PLACE,
        "西湖光学公司": EntityType.ORGANIZATION,
        "海岸的灯塔": EntityType.WORK,
        "iPhone": EntityType.OTHER,
    }


def test_mentions_are_where_the_names_stand() -> None:
    text = "  会议在北京举行。\n\n王建国 和 New York Times 的记者出席了会议。"

    graph = graph_of(text)

    for entity in graph.entities:
        for mention in entity.mentions:
            assert text[mention.start : mention.end] in entity.aliases
    assert {"北京", "王建国", "New York Times"} <= types(graph).keys()


@pytest.mark.parametrize(
    ("text", "relation"),
    [
        ("腾讯公司收购了京东集团15%的股份。", ("腾讯公司", "收购", "京东集团", False)),
        ("腾讯公司没有收购京东集团。", ("腾讯公司", "收购", "京东集团", True)),
        ("北京大学从未与清华大学合并。", ("北京大学", "合并 与", "清华大学", True)),
        ("上海市未批准腾讯公司的申请。", ("上海市", "批准 申请", "腾讯公司", True)),
        ("王芳不是北京大学的教授。", ("王芳", "是 教授", "北京大学", True)),
        ("钱学森非清华大学教授。", ("钱学森", "是 教授", "清华大学", True)),
        ("李明毕业于清华大学。", ("李明", "毕业于", "清华大学", False)),
        ("陈立群在杭州创办了西湖光学公司。", ("陈立群", "创办 在", "杭州", False)),
        ("京东被腾讯收购。", ("腾讯", "收购", "京东", False)),
        ("华为由任正非于1987年创立。", ("任正非", "创立", "华为", False)),
        ("腾讯将京东收购。", ("腾讯", "收购", "京东", False)),
        ("李明来自上海，毕业于清华大学。", ("李明", "毕业于", "清华大学", False)),
        ("张三和李四会见了王芳。", ("李四", "会见", "王芳", False)),
        ("曹雪芹写了《红楼梦》。", ("曹雪芹", "写", "红楼梦", False)),
        ("西湖光学公司创始人陈立群辞职。", ("陈立群", "创始人", "西湖光学公司", False)),
        ("百度（代码：BIDU）由李彦宏创办。", ("李彦宏", "创办", "百度", False)),
    ],
)
def test_sentences_state_what_verbs_and_prepositions_say(
    text: str, relation: tuple[str, str, str, bool]
) -> None:
    assert relation in stated(graph_of(text))


def test_what_is_stated_is_proven_by_its_sentence() -> None:
    text = "会议开始了。李明毕业于清华大学。"

    graph = graph_of(text)

    [relation] = graph.relations
    [sentence] = [graph.sentences[place] for place in relation.sentences]
    assert text[sentence.start : sentence.end] == "李明毕业于清华大学。"


def test_a_short_form_in_brackets_is_of_the_name_before_it() -> None:
    company = document("company", "西湖光学公司（以下简称“西光”）总部位于杭州。", language="zh")
    health = document("health", "世界卫生组织（WHO）总部位于日内瓦。", language="zh")
    later = document("later", "李明加入了西光。WHO的代表出席了会议。", language="zh")

    [short] = named(whole(company, health, later), "世界卫生组织")

    assert ("西光", "西湖光学公司") in graph_of(company.chunks[0].text).abbreviations
    assert short.document_ids == ("health", "later")


def test_chinese_in_an_english_document_is_read_as_chinese_and_the_other_way_round() -> None:
    texts = (
        "The company was founded by Ada Lovelace in London and is not a bank.",
        "陈立群于1998年在杭州创办了西湖光学公司。",
    )
    for language in ("en", "zh"):
        [graph] = read(document("d", *texts, language=language))

        assert types(graph)["Ada Lovelace"] is EntityType.PERSON
        assert types(graph)["陈立群"] is EntityType.PERSON


def test_japanese_is_not_read_as_chinese() -> None:
    [graph] = read(document("d", "東京は日本の首都です。", language="ja"))

    assert graph.entities == ()


def test_what_one_document_is_read_as_does_not_depend_on_others() -> None:
    one = document("one", "李明毕业于清华大学。", "Ada Lovelace met Bob Dylan.", language="zh")
    other = document("other", "Bob Dylan lives in Paris.", "王芳在上海。", language="en")

    assert read(one, other) == [*read(one), *read(other)]


def test_without_the_model_chinese_is_read_by_its_spelling(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(installed, "reads_chinese", lambda: False)

    graph = graph_of("陈立群写了《海岸的灯塔》。")

    assert types(graph) == {"海岸的灯塔": EntityType.OTHER}


def test_a_long_text_is_read_piece_by_piece_and_can_be_stopped() -> None:
    class StopsAtThird(NoControl):
        checks = 0

        def check(self) -> None:
            self.checks += 1
            if self.checks == 3:
                raise LeaseLostError

    text = "他说李明毕业于清华大学" * 200

    assert [entity.name for entity in graph_of(text).entities][:2] == ["李明", "清华大学"]
    with pytest.raises(LeaseLostError):
        list(document_graphs([document("d", text, language="zh")], StopsAtThird()))


@settings(max_examples=60, deadline=None)
@given(st.text(st.sampled_from("李明在北京没有（）《》的和，。\n Aa1|由被"), max_size=60))
def test_any_text_is_read(text: str) -> None:
    graph = graph_of(text)

    for entity in graph.entities:
        for mention in entity.mentions:
            sentence = graph.sentences[mention.sentence]
            assert sentence.start <= mention.start < mention.end <= sentence.end
    assert all(each.source != each.target for each in graph.relations)
