"""Grouping vectors and nodes: nearest neighbours, and communities of graphs.

Belongs here: what trees and graphs both group with, each in a child process that can be ended at
any time. Does not belong here: what the groups are for (``raptor``, ``graph``).
"""

from __future__ import annotations
