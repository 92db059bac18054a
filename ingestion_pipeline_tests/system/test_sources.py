"""A declared folder that a collection follows, in a checkout of its own, by real services."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingestion_pipeline.settings import project_dir
from ingestion_pipeline_tests.system.installation import Installation, eventually, installed

DECLARED = """
type: ingestion_pipeline.components.FolderSource
attributes: {{name: inbox, collection: inbox, folder: {folder}}}
---
type: ingestion_pipeline.components.Collection
attributes: {{name: inbox, config: {{chunk_tokens: 100}}}}
"""
SECONDS = 120


@pytest.fixture
def following(tmp_path: Path) -> Iterator[Installation]:
    """Services of a copy of the project in which a user has declared a source."""
    project = tmp_path / "project"
    shutil.copytree(
        project_dir() / "ingestion_pipeline",
        project / "ingestion_pipeline",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    for name in ("dagster.yaml", "pyproject.toml"):
        shutil.copy(project_dir() / name, project)
    with installed(PYTHONPATH=str(project)) as installation:
        inbox = installation.sources / "inbox"
        inbox.mkdir()
        declared = project / "ingestion_pipeline" / "defs" / "declared" / "inbox"
        declared.mkdir()
        (declared / "defs.yaml").write_text(DECLARED.format(folder=inbox))
        for number in range(6):
            installation.write(f"inbox/{number}.md", f"# Note {number}\n\nAbout quorvex{number}.\n")
        installation.ensure_up()
        yield installation


def found(installation: Installation) -> set[str]:
    """Return the names of the documents that readers find."""
    services = installation.services
    collection = services.registry.collections.find("inbox")
    if collection is None:
        return set()
    visible = services.index(collection).snapshot().document_versions()
    ids = {version.document_id for version in visible}
    documents = services.registry.documents.find("inbox")
    return {each.name for each in documents if each.document_id in ids}


def test_the_index_follows_a_folder_and_never_empties(following: Installation) -> None:
    inbox = following.sources / "inbox"
    names = {f"{number}.md" for number in range(6)}
    assert eventually(lambda: found(following) == names, SECONDS)
    collections = following.services.registry.collections
    assert eventually(lambda: collections.get("inbox").config.chunk_tokens == 100, SECONDS)

    (inbox / "0.md").unlink()
    (inbox / "1.md").rename(inbox / "renamed.md")
    following.write("inbox/new.md", "# New\n\nAbout zanzibarque.\n")
    after = names - {"0.md", "1.md"} | {"renamed.md", "new.md"}
    assert eventually(lambda: found(following) == after, SECONDS)

    sources = following.services.registry.sources
    inbox.rename(inbox.with_name("away"))
    assert eventually(lambda: sources.all()[0].problem is not None, SECONDS)
    assert found(following) == after

    inbox.mkdir()
    assert eventually(lambda: sources.all()[0].missing == len(after), SECONDS)
    assert found(following) == after

    inbox.rmdir()
    inbox.with_name("away").rename(inbox)
    assert eventually(lambda: sources.all()[0].missing == 0, SECONDS)
    assert found(following) == after
    assert following.differences("inbox") == ()
