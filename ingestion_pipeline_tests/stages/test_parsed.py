"""What parsing finds besides text: attachments, pictures, sound."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path

import pytest
from PIL import Image

from ingestion_pipeline.errors import ErrorKind
from ingestion_pipeline.model.documents import Stage
from ingestion_pipeline.model.elements import Element, ElementCategory
from ingestion_pipeline.parsing import ParserPool
from ingestion_pipeline.registry.arrivals import Attached
from ingestion_pipeline.settings import Settings
from ingestion_pipeline.stages.work import Work
from ingestion_pipeline_tests.llm.endpoints import Asked, Reply, Running, serving
from ingestion_pipeline_tests.stages.bench import Bench, computed, remembered


def zipped(**members: bytes | str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def nested(depth: int) -> bytes:
    data: bytes | str = "At the bottom."
    name = "note.txt"
    for _ in range(depth):
        data, name = zipped(**{name: data}), "inner.zip"
    assert isinstance(data, bytes)
    return data


def elements(bench: Bench, work: Work) -> tuple[Element, ...]:
    stored = bench.services.artifacts.get_parsed(
        bench.collection.name, work.document.document_id, work.fingerprints[Stage.PARSED]
    )
    assert stored is not None
    return stored.elements


def photo() -> bytes:
    """A picture in which nothing is written."""
    file = io.BytesIO()
    Image.linear_gradient("L").resize((200, 120)).save(file, "PNG")
    return file.getvalue()


def answering(request: Asked) -> Reply:
    """An endpoint that can look, listen and answer."""
    if request.path.endswith("transcriptions"):
        return Reply(body=b'{"text": "Welcome to the meeting.\\n\\nTravel is approved."}')
    if "image_url" in request.body.decode():
        return Reply("A grey gradient without any people.")
    return Reply("Who approves travel?\nWho keeps the receipts?")


def with_model(folder: Path, parsers: ParserPool, running: Running) -> Bench:
    settings = Settings(
        state_dir=folder / "state",
        redis_url="unix:///nowhere",
        llm_base_url=running.url,
        llm_model="toy",
        llm_vision_model="toy",
    )
    return Bench(settings, parsers)


def test_what_is_attached_is_announced_with_its_document(bench: Bench) -> None:
    mail = EmailMessage()
    mail["Subject"] = "Travel"
    mail.set_content("See the policy attached.")
    mail.add_attachment("Receipts are kept for ten years.", filename="policy.txt")
    announced: list[Mapping[str, Attached]] = []

    def announce(documents: Mapping[str, Attached]) -> AbstractSet[str]:
        announced.append(documents)
        return set(documents)

    (work,) = bench.run(bench.document("mail.eml", mail.as_bytes()), announce=announce)

    ((attached,),) = (documents.values() for documents in announced)
    (policy,) = attached.documents
    assert (policy.name, policy.parent_id) == ("policy.txt", work.document.document_id)
    assert policy.uri == "file:///mail.eml!/policy.txt"
    assert policy.object_key is not None
    stored = bench.services.objects.get(bench.collection.name, policy.object_key)
    assert stored.strip() == b"Receipts are kept for ten years."
    assert bench.visible() == {"mail.eml": 1}


def test_an_archive_has_no_text_and_is_no_error(bench: Bench) -> None:
    (work,) = bench.run(bench.document("all.zip", zipped(**{"a.txt": "One.", "b.txt": "Two."})))

    assert work.result.error is None
    assert work.result.chunks == 0
    assert [each.name for each in work.result.attached.documents] == ["a.txt", "b.txt"]


def test_a_stored_archive_is_not_read_again_unless_an_attachment_was_lost(bench: Bench) -> None:
    (first,) = bench.run(bench.document("all.zip", zipped(**{"a.txt": "One."})))
    (member,) = first.result.attached.documents
    again = replace(remembered(first), stages={})

    (second,) = bench.run(again)
    assert Stage.PARSED not in computed(second)
    assert second.result.attached == first.result.attached

    assert member.object_key is not None
    bench.services.objects.delete(bench.collection.name, member.object_key)
    (third,) = bench.run(again)
    assert Stage.PARSED in computed(third)
    assert bench.services.objects.get(bench.collection.name, member.object_key) == b"One."


def test_archives_in_archives_are_looked_into_but_not_for_ever(bench: Bench) -> None:
    document = bench.document("deep.zip", nested(5))
    depth = 0
    while True:
        (work,) = bench.run(document)
        if not work.result.attached.documents:
            break
        (member,) = work.result.attached.documents
        depth += 1
        document = replace(
            document, uri=member.uri, sha256=member.sha256, object_key=member.object_key
        )

    assert depth == 3
    assert work.parsed is not None
    assert "too deep" in work.parsed.warnings[-1]


def test_pictures_are_stored_with_what_is_published_and_only_then(
    tmp_path: Path, parsers: ParserPool
) -> None:
    with serving(answering) as running:
        bench = with_model(tmp_path, parsers, running)
        document = bench.document("photo.png", photo())

        def stored() -> list[str]:
            keys = bench.services.store.keys("artifacts/default/docs")
            return [key.rpartition("-")[2] for key in keys if "/picture-" in key]

        bench.run(document, announce=lambda _: frozenset())
        assert stored() == []

        (work,) = bench.run(document)

    (chunk,) = work.chunks or ()
    assert stored() == list(chunk.pictures) != []


def test_pictures_are_described_by_a_model_that_can_see(
    tmp_path: Path, parsers: ParserPool
) -> None:
    with serving(answering) as running:
        bench = with_model(tmp_path, parsers, running)
        (work,) = bench.run(bench.document("photo.png", photo()))

    assert work.result.error is None
    assert work.chunks is not None
    (chunk,) = work.chunks
    assert "grey gradient" in chunk.text
    artifacts = bench.services.artifacts
    document_id = work.document.document_id
    (picture,) = chunk.pictures
    assert artifacts.get_picture(bench.collection.name, document_id, picture) == photo()
    fingerprints = [each.fingerprint for each in work.result.stages.values()]
    assert artifacts.sweep_document(bench.collection.name, document_id, fingerprints) == []
    assert artifacts.sweep_document(bench.collection.name, document_id, ())
    assert artifacts.get_picture(bench.collection.name, document_id, picture) is None


def test_sound_is_written_down_by_a_model_that_can_hear(
    tmp_path: Path, parsers: ParserPool
) -> None:
    with serving(answering) as running:
        bench = with_model(tmp_path, parsers, running)
        (work,) = bench.run(bench.document("meeting.mp3", b"ID3" + bytes(100)))

    assert work.result.media_type == "audio/mpeg"
    assert "Travel is approved." in (work.chunks or [])[0].text


def test_without_a_model_sound_says_what_to_configure(bench: Bench) -> None:
    (work,) = bench.run(bench.document("meeting.wav", b"RIFF\0\0\0\0WAVEfmt "))

    assert work.result.error is not None
    assert work.result.error.kind is ErrorKind.DEPENDENCY_MISSING
    assert "INGEST_LLM_BASE_URL" in work.result.error.message


def test_questions_and_their_answers_are_kept_for_the_next_time(
    tmp_path: Path, parsers: ParserPool
) -> None:
    with serving(answering) as running:
        bench = with_model(tmp_path, parsers, running)
        bench.configure(**{"enrichment.questions": 2})
        document = bench.document("a.txt", "Travel is approved by the committee.")
        (first,) = bench.run(document)
        asked = len(running.asked)
        (again,) = bench.run(replace(document, force=True))

    assert first.enrichment is not None
    (added,) = first.enrichment.chunks
    assert added.questions == ("Who approves travel?", "Who keeps the receipts?")
    assert again.enrichment is not None
    assert again.enrichment.chunks == first.enrichment.chunks
    assert asked == len(running.asked) == 1
    assert first.vectors is not None
    hits = bench.services.index(bench.collection).snapshot().matching("receipts", 5)
    assert [hit.name for hit in hits] == ["a.txt"], "a question is searched, too"


def test_keywords_are_added_without_embedding_again(bench: Bench) -> None:
    text = "The glacier melts. Glaciers shape valleys. The museum opens at nine. " * 10
    (first,) = bench.run(bench.document("a.txt", text))
    encoded = len(bench.embedder.encoded)
    bench.configure(**{"enrichment.keywords": 3})

    (second,) = bench.run(remembered(first))

    assert computed(second) == {Stage.ENRICHED, Stage.INDEXED}
    assert len(bench.embedder.encoded) == encoded
    hit = bench.services.index(bench.collection).snapshot().matching("glacier", 1)[0]
    assert 0 < len(hit.keywords) <= 3


@pytest.mark.parametrize("endpoint_works", [True, False])
def test_an_endpoint_that_fails_leaves_a_document_without_questions(
    tmp_path: Path, parsers: ParserPool, endpoint_works: bool
) -> None:
    def handler(request: Asked) -> Reply:
        return answering(request) if endpoint_works else Reply(status=401)

    with serving(handler) as running:
        bench = with_model(tmp_path, parsers, running)
        bench.configure(**{"enrichment.questions": 2})
        (work,) = bench.run(bench.document("a.txt", "Travel is approved by the committee."))

    assert work.result.error is None
    assert work.enrichment is not None
    assert bool(work.enrichment.chunks[0].questions) is endpoint_works
    assert bool(work.enrichment.warnings) is not endpoint_works


def test_a_collection_says_who_reads_its_documents(bench: Bench) -> None:
    text = "- Receipts are kept for ten years.\n\n- Travel is approved by the committee.\n"
    (ours,) = bench.run(bench.document("a.txt", text))
    bench.configure(partitioner="unstructured")
    (theirs,) = bench.run(remembered(ours))

    assert Stage.PARSED in computed(theirs)
    assert {each.category for each in elements(bench, ours)} == {ElementCategory.NARRATIVE_TEXT}
    assert {each.category for each in elements(bench, theirs)} == {ElementCategory.LIST_ITEM}
