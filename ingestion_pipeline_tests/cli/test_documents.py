"""Documents one by one: what they hold, what was attached to them, what they show."""

from __future__ import annotations

import base64
import io
import zipfile
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ingestion_pipeline_tests.cli.terminal import said

pytestmark = pytest.mark.xdist_group("cli")  # they share one folder


def value(*arguments: str) -> Any:
    ran = said(*arguments, "--json")
    assert ran.code == 0, ran.err
    return ran.json


def by_name(collection: str) -> dict[str, Any]:
    return {each["name"]: each for each in value("documents", "--collection", collection)}


def archive(path: Path) -> Path:
    mail = EmailMessage()
    mail["Subject"] = "Travel"
    mail.set_content("The policy is attached.")
    mail.add_attachment("Receipts are kept for ten years.", filename="policy.txt")
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("mails/travel.eml", mail.as_bytes())
        file.writestr("broken.pdf", b"%PDF-1.7 and nothing")
        file.writestr("notes.md", "# Notes\n\nThe committee meets on Monday.")
    return path


def test_an_archive_becomes_its_documents_and_is_deleted_with_them(tmp_path: Path) -> None:
    path = archive(tmp_path / "all.zip")

    submitted = value("submit", str(path), "-c", "archives", "--wait")

    (task,) = submitted["tasks"]
    assert task["state"] == "succeeded"
    assert "1 of 5 documents failed" in task["messages"][-1]
    found = by_name("archives")
    assert {name: each["state"] for name, each in found.items()} == {
        "all.zip": "indexed",
        "broken.pdf": "failed",
        "notes.md": "indexed",
        "policy.txt": "indexed",
        "travel.eml": "indexed",
    }
    assert found["policy.txt"]["parent_id"] == found["travel.eml"]["document_id"]
    hits = value("search", "how long are receipts kept", "-c", "archives")
    assert hits[0]["name"] == "policy.txt"
    assert hits[0]["sources"][0].endswith("all.zip!/mails/travel.eml!/policy.txt")

    value("delete", found["all.zip"]["document_id"], "-c", "archives")

    assert by_name("archives") == {}
    assert value("search", "receipts", "-c", "archives") == []


def test_a_document_is_shown_with_its_language_and_contents(tmp_path: Path) -> None:
    path = tmp_path / "guide.md"
    path.write_text(
        "# Guide\n\nThis is how all of us travel when there is something to do elsewhere.\n\n"
        "## Trains\n\nTrains go before planes, and the cheapest of them is the one to take.\n"
    )
    value("collections", "create", "shown", "--set", "enrichment.toc=true")
    value("submit", str(path), "-c", "shown", "--wait")
    document_id = by_name("shown")["guide.md"]["document_id"]

    shown = value("document", document_id, "-c", "shown")

    assert shown["language"] == "en"
    assert [(each["title"], each["level"]) for each in shown["contents"]] == [
        ("Guide", 1),
        ("Trains", 2),
    ]
    assert "Trains" in said("document", document_id, "-c", "shown").out


def test_a_kind_can_be_given_for_one_task(tmp_path: Path) -> None:
    path = tmp_path / "faq.csv"
    path.write_text("question,answer\nWho approves?,The head.\nWhen?,On Monday.\n")

    value("submit", str(path), "-c", "kinds", "--option", "parser=qa", "--wait")

    assert by_name("kinds")["faq.csv"]["parser"] == "qa"
    assert by_name("kinds")["faq.csv"]["chunks"] == 2
    refused = said("submit", str(path), "-c", "kinds", "--option", "parser=novel")
    assert refused.code == 1
    assert "'laws'" in refused.err


def test_a_picture_that_a_hit_shows_can_be_had(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.linear_gradient("L").resize((200, 120)).save(file, "PNG")
    path = tmp_path / "page.html"
    data = base64.b64encode(file.getvalue()).decode()
    path.write_text(
        "<h1>Gradients</h1><p>A ramp from dark to light.</p>"
        f'<img alt="Grey ramp of the sensor" src="data:image/png;base64,{data}">'
    )
    value("submit", str(path), "-c", "pictures", "--wait")
    hit = value("search", "grey ramp", "-c", "pictures")[0]

    value(
        "picture",
        hit["document_id"],
        hit["pictures"][0],
        *("-c", "pictures", "--to", str(tmp_path / "out.png")),
    )

    assert (tmp_path / "out.png").read_bytes() == file.getvalue()
    unknown = said("picture", hit["document_id"], "0" * 64, "-c", "pictures", "--to", "x.png")
    assert (unknown.code, "not_found" in unknown.err) == (1, True)


def test_tags_are_learned_from_a_tagged_collection(tmp_path: Path) -> None:
    animals = ("otter", "badger", "heron", "lynx", "beaver")
    trains = ("locomotive", "carriage", "signal", "platform", "junction")
    rows = [f"The {word} lives near the river and hunts at night,nature" for word in animals]
    rows += [f"The {word} is checked before the express departs,railway" for word in trains]
    labels = tmp_path / "labels.csv"
    labels.write_text("\n".join(["content,tags", *rows]))
    value("collections", "create", "labels", "--set", "parser=tag")
    value("submit", str(labels), "-c", "labels", "--wait")
    note = tmp_path / "note.md"
    note.write_text("The beaver and the otter hunt at night near the river, where the heron lives.")
    value("collections", "create", "tagged", "--set", "enrichment.tags=labels")

    value("submit", str(note), "-c", "tagged", "--wait")

    (hit,) = value("search", "beaver", "-c", "tagged", "--filter", "tag = 'nature'")
    assert hit["tags"] == ["nature"]


def test_a_collection_cannot_learn_tags_from_one_that_is_not_there() -> None:
    wrong = ("--set", "enrichment.tags=nonesuch")
    value("collections", "create", "untaught")

    for command in ("create", "configure"):
        name = "untaught" if command == "configure" else "another"
        refused = said("collections", command, name, *wrong)
        assert (refused.code, "'nonesuch' to learn tags from" in refused.err) == (1, True)


def test_tags_of_a_deleted_teacher_are_missed_and_stop_nothing(tmp_path: Path) -> None:
    value("collections", "create", "teacher")
    value("collections", "create", "pupils", "--set", "enrichment.tags=teacher")
    value("collections", "delete", "teacher")
    note = tmp_path / "note.md"
    note.write_text("A beaver.")

    (task,) = value("submit", str(note), "-c", "pupils", "--wait")["tasks"]

    assert task["state"] == "succeeded"
