# ruff: noqa: E501, ISC004 - messages stand as they are
"""What is said of a pipeline's file that is wrong: the file, the line, and what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingestion_pipeline.dataflow import DECLARED, find_pipelines, read_pipeline
from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.settings import project_dir

GOOD = """type: ingestion_pipeline.components.Dataflow
attributes:
  name: notes
  components:
    - type: File
    - type: Parser
    - type: Splitter
      tokens: 100
    - type: Enricher
      keywords: 3
    - type: Extractor
      name: forms
      inputs: [splitter]
      pattern: '[A-Z]+'
      into: tags
    - type: Embedder
      inputs: [splitter]
    - type: Indexer
      inputs: [embedder, enricher, forms]
"""


def written(folder: Path, text: str, name: str = "notes.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, text: str) -> str:
    path = written(folder, text)
    with pytest.raises(PermanentError) as caught:
        read_pipeline(path)
    assert caught.value.kind is ErrorKind.INVALID_OPTION
    return caught.value.message.removeprefix(f"{path}, ")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (
            "tokens: 100",
            "tokns: 100",
            "line 8: Splitter has no 'tokns'; did you mean 'tokens'? Expected: type, name, inputs,",
        ),
        (
            "tokens: 100",
            "tokens: many",
            "line 8: tokens: Input should be a valid integer, unable to parse string",
        ),
        ("tokens: 100", "tokens: 4", "line 8: tokens: Input should be greater than or equal to 16"),
        (
            "type: Splitter",
            "type: Spliter",
            "line 7: there is no component 'Spliter'; expected one of",
        ),
        (
            "- type: Splitter\n      tokens",
            "- tokens",
            "line 7: the component has no 'type'; expected",
        ),
        ("pattern: '[A-Z]+'", "pattern: '[A-Z'", "line 14: pattern: not a regular expression: "),
        (
            "      pattern: '[A-Z]+'\n",
            "",
            "line 11: an Extractor has either a 'pattern' or a 'prompt'",
        ),
        ("      into: tags\n", "", "line 11: 'into' is missing"),
        (
            "into: tags",
            "into: tag",
            "line 15: into: Input should be 'keywords', 'questions' or 'tags'",
        ),
        (
            "inputs: [embedder, enricher, forms]",
            "inputs: [embeder, enricher, forms]",
            "line 19: 'indexer' reads 'embeder', which there is not; expected one of: file, parser,",
        ),
        (
            "inputs: [splitter]\n    - type: Indexer",
            "inputs: [parser]\n    - type: Indexer",
            "line 17: 'embedder' (Embedder) has no input that gives chunks; expected one of: "
            "Splitter, HierarchicalMerger, Extractor, Enricher",
        ),
        (
            "inputs: [embedder, enricher, forms]",
            "inputs: [embedder, parser]",
            "line 19: 'indexer' (Indexer) cannot read 'parser', which gives elements; expected "
            "vectors and chunks",
        ),
        (
            "    - type: Enricher\n      keywords: 3",
            "    - type: Enricher\n      inputs: [forms]\n      keywords: 3\n    - type: Extractor\n"
            "      name: again\n      inputs: [enricher]\n      into: tags\n      pattern: x",
            "line 12: what 'again' gives does not get to the Indexer: name it among the inputs",
        ),
        (
            "      keywords: 3\n    - type: Extractor\n      name: forms\n      inputs: [splitter]",
            "      keywords: 3\n      inputs: [forms]\n    - type: Extractor\n      name: forms\n"
            "      inputs: [enricher]",
            "line 11: the components go round in a cycle: enricher → forms → enricher",
        ),
        (
            "    - type: Parser\n",
            "",
            "line 6: 'splitter' (Splitter) has no input that gives elements",
        ),
        (
            "    - type: Splitter\n",
            "    - type: Splitter\n      name: other\n    - type: Splitter\n      inputs: [parser]\n",
            "line 9: a pipeline has one Splitter or HierarchicalMerger; 'other' is one already",
        ),
        (
            "    - type: Extractor\n      name: forms",
            "    - type: Enricher\n      questions: 2\n    - type: Extractor\n      name: forms",
            "line 11: there are two components 'enricher': give one a 'name'",
        ),
        (
            "into: tags",
            "into: questions",
            "line 16: 'forms' gives questions, which vectors are made",
        ),
        (
            "name: notes",
            "name: standard",
            "line 3: 'standard' is what collections do by themselves",
        ),
        ("name: notes", "name: My Notes", "line 3: name: String should match pattern"),
        ("  name: notes\n", "", "line 2: 'name' is missing"),
        ("components.Dataflow", "components.Flow", "line 1: expected 'type: ingestion_pipeline"),
        ("  name: notes", "  name: [notes", "line 4: not YAML: "),
        (
            "type: Enricher\n      keywords: 3",
            "type: nowhere.at.All",
            "line 9: nowhere.at.All cannot be loaded: No module named 'nowhere'",
        ),
        (
            "type: Enricher\n      keywords: 3",
            "type: ingestion_pipeline_tests.dataflow.own.NoComponent",
            "line 9: ingestion_pipeline_tests.dataflow.own.NoComponent is not a class derived from",
        ),
        (
            "type: Enricher\n      keywords: 3",
            "type: ingestion_pipeline_tests.dataflow.own.Lengths\n      longst: 3",
            "line 10: Lengths has no 'longst'; did you mean 'longest'?",
        ),
    ],
)
def test_a_wrong_file_is_refused_with_its_line_and_what_was_expected(
    tmp_path: Path, before: str, after: str, expected: str
) -> None:
    assert GOOD.count(before) >= 1

    assert refusal(tmp_path, GOOD.replace(before, after, 1)).startswith(expected)


def test_a_right_file_is_read_with_components_after_what_they_read(tmp_path: Path) -> None:
    pipeline = read_pipeline(written(tmp_path, GOOD))

    assert [node.name for node in pipeline.nodes] == [
        "file",
        "parser",
        "splitter",
        "enricher",
        "forms",
        "embedder",
        "indexer",
    ]
    assert [node.step for node in pipeline.parts] == ["enriched.enricher", "enriched.forms"]
    assert pipeline.upstream(pipeline.nodes[-1]) == (
        "embedded",
        "enriched.enricher",
        "enriched.forms",
    )


def test_components_may_stand_in_any_order(tmp_path: Path) -> None:
    head, _, rest = GOOD.partition("    - type: File\n")
    rest = rest.replace("- type: Parser", "- type: Parser\n      inputs: [file]")

    pipeline = read_pipeline(written(tmp_path, f"{head}{rest}    - type: File\n"))

    assert [node.name for node in pipeline.nodes][:2] == ["file", "parser"]


def test_two_pipelines_of_one_name_are_refused(tmp_path: Path) -> None:
    written(tmp_path, GOOD, "a.yaml")
    second = written(tmp_path, GOOD, "b.yaml")

    with pytest.raises(PermanentError, match=f"{second}, line 1: .*a.yaml is called 'notes' too"):
        find_pipelines(tmp_path, tmp_path / "none")


def test_pipelines_are_found_among_declared_components_too(tmp_path: Path) -> None:
    (tmp_path / "declared" / "notes").mkdir(parents=True)
    (tmp_path / "declared" / "other").mkdir()
    written(tmp_path / "declared" / "notes", GOOD, "defs.yaml")
    written(tmp_path / "declared" / "other", "type: somebody.elses.Component\n", "defs.yaml")

    assert list(find_pipelines(tmp_path / "none", tmp_path / "declared")) == ["notes"]


def test_the_examples_are_right() -> None:
    found = find_pipelines(project_dir() / "data" / "pipelines", DECLARED)

    assert {"handbook", "passages"} <= set(found)
