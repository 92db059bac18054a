"""The tables of the registry.

Belongs here: tables as the newest migration leaves them (a test compares the two). Does not
belong here: queries. Times are seconds since the epoch by the database's clock.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_key = sa.String(127)
_id = sa.String(128)

collections = sa.Table(
    "collections",
    metadata,
    sa.Column("key", _key, primary_key=True),
    sa.Column("tenant", sa.String(63), nullable=False),
    sa.Column("name", sa.String(63), nullable=False),
    sa.Column("config", sa.JSON, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("searched_model", sa.Text, comment="null until something is published"),
)

generations = sa.Table(
    "generations",
    metadata,
    sa.Column(
        "collection_key",
        _key,
        sa.ForeignKey("collections.key", ondelete="CASCADE"),
        primary_key=True,
    ),
    sa.Column("index_table", sa.String(255), primary_key=True),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.Text, nullable=False, comment="of the model"),
    sa.Column("recipes", sa.JSON, nullable=False, comment="of its documents, by pipeline"),
    sa.Column("kept_until", sa.Double, comment="null while it is being filled"),
    sa.Column("problem", sa.Text, comment="why it is not searched although it is full"),
    comment="tables of other embedding models beside the one that is searched",
)

stage_versions = sa.Table(
    "stage_versions",
    metadata,
    sa.Column(
        "collection_key",
        _key,
        sa.ForeignKey("collections.key", ondelete="CASCADE"),
        primary_key=True,
    ),
    sa.Column("stage", sa.String(16), primary_key=True),
    sa.Column("multiset", sa.String(64), nullable=False),
    sa.Column("documents", sa.Integer, nullable=False),
    sa.Column("changed_at", sa.Double, nullable=False, server_default="0"),
    comment="per collection and stage: hash of the multiset of (document, fingerprint)",
)

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("run_id", _id, primary_key=True),
    sa.Column(
        "collection_key",
        _key,
        sa.ForeignKey("collections.key", ondelete="CASCADE"),
        nullable=False,
    ),
    sa.Column("process", sa.String(512), nullable=False, comment="host, number and start"),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("expires_at", sa.Double, nullable=False),
    sa.Column("reason", sa.Text, comment="why somebody other than a person stops it"),
    comment="runs at work: a row appears when one begins and goes when it ends",
)

builds = sa.Table(
    "builds",
    metadata,
    sa.Column(
        "collection_key",
        _key,
        sa.ForeignKey("collections.key", ondelete="CASCADE"),
        primary_key=True,
    ),
    sa.Column("kind", sa.String(16), primary_key=True, comment="the type of its tasks"),
    sa.Column("run_id", _id, index=True, comment="the run that is at it"),
    sa.Column("not_before", sa.Double, nullable=False, comment="when to try again"),
    sa.Column("planned_for", sa.String(128), comment="the version it was last asked for by itself"),
    sa.Column("built_from", sa.String(128), comment="the version that the last one is of"),
    sa.Column("built_at", sa.Double),
    comment="what is built of a collection as a whole: one run at a time",
)

corrections = sa.Table(
    "corrections",
    metadata,
    sa.Column("correction_id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column(
        "collection_key",
        _key,
        sa.ForeignKey("collections.key", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    sa.Column("same", sa.Boolean, nullable=False, comment="one entity, or never one"),
    sa.Column("one", sa.Text, nullable=False),
    sa.Column("other", sa.Text, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    comment="what people said of the names of entities; graphs are built with it",
)

claims = sa.Table(
    "claims",
    metadata,
    sa.Column("claim_id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column(
        "collection_key",
        _key,
        sa.ForeignKey("collections.key", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    sa.Column("run_id", _id, nullable=False, index=True),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("expires_at", sa.Double, nullable=False),
    sqlite_autoincrement=True,  # a claim's id is its fencing token: it must never come again
    comment="batches that runs own through leases; a claim's id is its fencing token",
)

documents = sa.Table(
    "documents",
    metadata,
    sa.Column("document_id", _id, primary_key=True),
    sa.Column(
        "collection_key",
        _key,
        sa.ForeignKey("collections.key", ondelete="CASCADE"),
        nullable=False,
    ),
    sa.Column("name", sa.String(512), nullable=False),
    sa.Column("uri", sa.Text, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("sha256", sa.String(64)),
    sa.Column("object_key", sa.Text),
    sa.Column("parent_id", _id, index=True, comment="the document it is attached to"),
    sa.Column("parser", sa.String(16), comment="its kind, where it is not the collection's"),
    sa.Column("pipeline", sa.String(63), comment="where it goes another way than its collection"),
    sa.Column("fetch", sa.Boolean, nullable=False, comment="bytes are to be fetched from the uri"),
    sa.Column("media_type", sa.String(255)),
    sa.Column("bytes", sa.BigInteger),
    sa.Column("pages", sa.Integer),
    sa.Column("chunks", sa.Integer),
    sa.Column("tokens", sa.Integer),
    sa.Column("index_table", sa.String(255), comment="where its published chunks are"),
    sa.Column("error_kind", sa.String(32)),
    sa.Column("error_message", sa.Text),
    sa.Column("attempts", sa.Integer, nullable=False, comment="transient failures in a row"),
    sa.Column(
        "crashes",
        sa.Integer,
        nullable=False,
        server_default="0",
        comment="runs in a row that died while they had it",
    ),
    sa.Column("not_before", sa.Double, nullable=False, comment="when to try again"),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("requested_at", sa.Double, nullable=False),
    sa.Column("requested_by", _id, comment="the run that asked for it by itself, for no task"),
    sa.Column("force", sa.Boolean, nullable=False, comment="process although nothing changed"),
    sa.Column("confirmed", sa.String(64), comment="the version that a person said to go on with"),
    sa.Column("claim_id", sa.Integer, sa.ForeignKey("claims.claim_id"), index=True),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("updated_at", sa.Double, nullable=False),
    sa.Index(None, "collection_key", "state", "requested_at"),
    sa.Index(None, "state", "not_before"),
)

document_versions = sa.Table(
    "document_versions",
    metadata,
    sa.Column(
        "document_id",
        _id,
        sa.ForeignKey("documents.document_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    sa.Column("sha256", sa.String(64), primary_key=True),
    sa.Column("object_key", sa.Text, nullable=False, index=True),
    sa.Column("bytes", sa.BigInteger),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("stamp", sa.String(96), comment="of the file that had these bytes, if it was one"),
    comment="where the bytes of each version are, until maintenance removes them",
)

answers = sa.Table(
    "answers",
    metadata,
    sa.Column(
        "document_id",
        _id,
        sa.ForeignKey("documents.document_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    sa.Column("sealed", sa.Text, nullable=False, comment="encrypted with a key kept elsewhere"),
    comment="what people answered, until it was used",
)

publications = sa.Table(
    "publications",
    metadata,
    sa.Column("claim_id", sa.Integer, primary_key=True),
    sa.Column("document_id", _id, primary_key=True, index=True),
    sa.Column(
        "collection_key",
        _key,
        sa.ForeignKey("collections.key", ondelete="CASCADE"),
        nullable=False,
    ),
    sa.Column("announced_at", sa.Double, nullable=False),
    sa.Column("returned", sa.Boolean, nullable=False, comment="the publisher is through with it"),
    sa.Column(
        "attached",
        sa.Boolean,
        nullable=False,
        server_default=sa.false(),
        comment="whether the document has, or had, others attached to it",
    ),
    comment="index commits that were announced and not yet recorded: there the index is in doubt",
)

document_stages = sa.Table(
    "document_stages",
    metadata,
    sa.Column(
        "document_id",
        _id,
        sa.ForeignKey("documents.document_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    sa.Column("stage", sa.String(64), primary_key=True, comment="or a part of one"),
    sa.Column("version", sa.String(64), nullable=False, comment="sha256 of the source bytes"),
    sa.Column("recipe", sa.String(64), nullable=False, comment="configuration and code"),
    sa.Column("fingerprint", sa.String(64), nullable=False, comment="names the stored result"),
    sa.Column("updated_at", sa.Double, nullable=False),
)

copies = sa.Table(
    "copies",
    metadata,
    sa.Column(
        "document_id",
        _id,
        sa.ForeignKey("documents.document_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    sa.Column("index_table", sa.String(255), primary_key=True),
    sa.Column("version", sa.String(64), nullable=False),
    sa.Column("recipe", sa.String(64), nullable=False),
    sa.Column("stages", sa.JSON, nullable=False, comment="recipe and fingerprint of each"),
    sa.Column("chunks", sa.Integer, nullable=False),
    sa.Column("tokens", sa.Integer, nullable=False),
    comment="what of each document is in tables beside the one that is searched",
)

tasks = sa.Table(
    "tasks",
    metadata,
    sa.Column("task_id", _id, primary_key=True),
    sa.Column("batch_id", _id, index=True),
    sa.Column("type", sa.String(16), nullable=False),
    sa.Column("collection", sa.String(255), nullable=False),
    sa.Column("tenant", sa.String(255), nullable=False),
    sa.Column("document_id", _id, index=True),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("options", sa.JSON, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("progress", sa.Double, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("tokens", sa.Integer, nullable=False),
    sa.Column("error_kind", sa.String(32)),
    sa.Column("error_message", sa.Text),
    sa.Column("backend", sa.String(16)),
    sa.Column("run_id", _id),
    sa.Column("question", sa.JSON(none_as_null=True), comment="put to a person, while it waits"),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("started_at", sa.Double),
    sa.Column("deadline", sa.Double, comment="when running, or waiting for input, has to end"),
    sa.Column("finished_at", sa.Double),
    sa.Index(None, "collection", "state"),
    sa.Index(None, "state", "created_at"),
    sa.Index(None, "type", "state"),
    sa.Index(None, "deadline"),
)

task_documents = sa.Table(
    "task_documents",
    metadata,
    sa.Column("task_id", _id, sa.ForeignKey("tasks.task_id", ondelete="CASCADE"), primary_key=True),
    sa.Column("document_id", _id, primary_key=True, index=True),
    sa.Column("claim_id", sa.Integer, index=True),
    sa.Column("outcome", sa.String(16), comment="the state it ended in; null while open"),
    comment="which documents a task is about and how each ended",
)

task_messages = sa.Table(
    "task_messages",
    metadata,
    sa.Column("message_id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column(
        "task_id",
        _id,
        sa.ForeignKey("tasks.task_id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
)

sources = sa.Table(
    "sources",
    metadata,
    sa.Column("name", sa.String(63), primary_key=True),
    sa.Column(
        "collection_key",
        _key,
        sa.ForeignKey("collections.key", ondelete="CASCADE"),
        nullable=False,
    ),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("address", sa.Text, nullable=False, comment="as people read it"),
    sa.Column("looked_at", sa.Double, comment="when it was last looked at"),
    sa.Column("complete_at", sa.Double, comment="when it was last seen as a whole"),
    sa.Column("problem", sa.Text, comment="why it could not be seen as a whole"),
    comment="folders, buckets and web sites that collections follow",
)

source_files = sa.Table(
    "source_files",
    metadata,
    sa.Column(
        "source", sa.String(63), sa.ForeignKey("sources.name", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column("uri", sa.Text, primary_key=True),
    sa.Column("document_id", _id, nullable=False, index=True),
    sa.Column("signature", sa.Text, nullable=False, comment="another one means other content"),
    sa.Column("bytes", sa.BigInteger),
    sa.Column("missing_since", sa.Double, comment="when it was first not there any more"),
    sa.Column("confirmed", sa.Boolean, nullable=False, comment="a person said that it is gone"),
    comment="what each source held when it was last seen, and has been handed over",
)

operations = sa.Table(
    "operations",
    metadata,
    sa.Column("operation_id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("task_id", _id, nullable=False, index=True),
    sa.Column("type", sa.String(16), nullable=False),
    sa.Column("collection", sa.String(255), nullable=False),
    sa.Column("tenant", sa.String(255), nullable=False),
    sa.Column("document_id", _id),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("progress", sa.Double, nullable=False),
    sa.Column("tokens", sa.Integer, nullable=False),
    sa.Column("error_message", sa.Text),
    sa.Column("name", sa.String(512), comment="of the document"),
    sa.Column("suffix", sa.String(32), comment="of its name, without the dot"),
    sa.Column("source", sa.Text, comment="where its bytes came from"),
    sa.Column("pipeline", sa.String(63), comment="which way it took"),
    sa.Column("messages", sa.Text, comment="everything it said, a line each"),
    sa.Column("began_at", sa.Double, nullable=False),
    sa.Column("seconds", sa.Double, nullable=False),
    sa.Index(None, "tenant", "collection", "operation_id"),
    comment="the operation log: one row for each task that ended",
)
