"""Redis as transport: tasks come in, events go out; the registry stays the truth.

Belongs here: the embedded server, the connection, task streams, event streams and heartbeats.
Does not belong here: what a message means (``tasks``). Import ``EmbeddedRedis`` from
``embedded``, ``connect`` and ``redis_errors`` from ``connection``, ``TaskStreams`` from ``tasks``,
``EventStreams`` from ``events`` and ``Heartbeats`` from ``heartbeats``: each of them imports the
redis package.
"""
