"""Redis as transport: tasks come in, events go out; the registry stays the truth.

Belongs here: the embedded server, the connection, the task streams and the event streams.
Does not belong here: what a message means (``tasks``). Import ``EmbeddedRedis`` from
``embedded``, ``connect`` and ``redis_errors`` from ``connection``, ``TaskStreams`` from ``tasks``
and ``EventStreams`` from ``events``: each of them imports the redis package.
"""
