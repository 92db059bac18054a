"""What `dg scaffold defs` writes for our components: a file whose values are to be put right."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import dagster as dg

C = TypeVar("C", bound=type[dg.Component])


def scaffolded(**attributes: Any) -> Callable[[C], C]:
    """Have `dg scaffold defs` write these attributes, and the folder's name as ``name``."""

    class NamedScaffolder(dg.Scaffolder):
        def scaffold(self, request: dg.ScaffoldRequest) -> None:
            name = re.sub(r"[^a-z0-9_]", "_", request.target_path.name.lower())
            dg.scaffold_component(request, {"name": name, **attributes})

    return dg.scaffold_with(NamedScaffolder)
