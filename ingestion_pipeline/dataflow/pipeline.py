"""Putting components together: a pipeline that can run, or what is wrong with it.

Belongs here: names, inputs, order, and the rules that a pipeline has to keep. Does not belong here:
files and lines (``reading``).
"""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter

from pydantic import BaseModel, ValidationError

from ingestion_pipeline.dataflow.forms import (
    BUILT_IN,
    ChunkComponent,
    Component,
    Embedder,
    File,
    HierarchicalMerger,
    Indexer,
    Kind,
    Own,
    Parser,
    PipelineForm,
    Splitter,
)
from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.documents import STANDARD, Stage

ONCE: dict[Stage, tuple[type[Component], ...]] = {
    Stage.SOURCED: (File,),
    Stage.PARSED: (Parser,),
    Stage.CHUNKED: (Splitter, HierarchicalMerger),
    Stage.EMBEDDED: (Embedder,),
    Stage.INDEXED: (Indexer,),
}
"""What a pipeline has exactly one of, and the stage that it is."""

Place = tuple[str | int, ...]
"""Where in a declaration something stands: keys and positions, outermost first."""


class DeclarationError(Exception):
    """What is wrong with a declaration, and where."""

    def __init__(self, place: Place, message: str) -> None:
        self.place = place
        super().__init__(message)


@dataclass(frozen=True)
class Node:
    """A component in its place."""

    name: str
    component: Component
    inputs: tuple[str, ...]

    @property
    def step(self) -> str:
        """What its results are recorded as: a stage, or a part of the stage *enriched*."""
        for stage, types in ONCE.items():
            if isinstance(self.component, types):
                return stage
        return part_of(self.name)

    @property
    def stage(self) -> Stage:
        """The stage that it is, or is a part of."""
        return Stage(self.step.partition(".")[0])


def part_of(name: str) -> str:
    """Return the step of a component that adds something to chunks."""
    return f"{Stage.ENRICHED}.{name}"


@dataclass(frozen=True)
class Pipeline:
    """A pipeline that can run; its nodes come after all that they read."""

    name: str
    description: str
    nodes: tuple[Node, ...]

    @cached_property
    def _by_name(self) -> Mapping[str, Node]:
        return {node.name: node for node in self.nodes}

    def of(self, stage: Stage) -> Node:
        """Return the one node that is a stage."""
        return next(node for node in self.nodes if node.step == stage)

    @property
    def parts(self) -> tuple[Node, ...]:
        """The nodes that add something to chunks."""
        return tuple(node for node in self.nodes if node.stage is Stage.ENRICHED)

    def upstream(self, node: Node) -> tuple[str, ...]:
        """Return the steps that a node reads."""
        return tuple(self._by_name[name].step for name in node.inputs)

    def before(self, node: Node) -> frozenset[str]:
        """Return the names of all nodes that come before a node."""
        found = set(node.inputs)
        for name in node.inputs:
            found |= self.before(self._by_name[name])
        return frozenset(found)

    def steps_before(self, name: str) -> frozenset[str]:
        """Return the steps that neither are a component nor read it, directly or not.

        Raises:
            PermanentError: of kind ``invalid_option``, with those there are, if it has none so
                named.
        """
        if name not in self._by_name:
            raise PermanentError(
                ErrorKind.INVALID_OPTION,
                f"the pipeline {self.name} has no component {name!r}; it has: "
                + ", ".join(self._by_name),
            )
        kept = [n for n in self.nodes if n.name != name and name not in self.before(n)]
        whole = all(node in kept for node in self.parts)  # then what they are put together to, too
        return frozenset(node.step for node in kept) | ({Stage.ENRICHED} if whole else set())


def compose(form: PipelineForm) -> Pipeline:
    """Put the components of a declaration together.

    Raises:
        DeclarationError: for what cannot run.
    """
    if form.name == STANDARD:
        raise DeclarationError(
            ("name",), f"{STANDARD!r} is what collections do by themselves: take another name"
        )
    nodes = _named(_loaded(form.components))
    places = {node.name: ("components", number) for number, node in enumerate(nodes)}
    for node in nodes:
        _check_inputs(node, nodes, places[node.name])
    ordered = _ordered(nodes, places)
    _check_types(ordered, places)
    pipeline = Pipeline(form.name, form.description, tuple(ordered))
    _check_ends(pipeline, places)
    return pipeline


def _loaded(components: Sequence[Component]) -> Iterator[Component]:
    """Yield the components, with people's own in their own classes."""
    for number, component in enumerate(components):
        place = ("components", number)
        if not isinstance(component, Own):
            yield component
            continue
        own = _own_class(component.type, (*place, "type"))
        try:
            yield own.model_validate(component.model_dump(exclude_unset=True))
        except ValidationError as error:
            raise first_problem(error, own, place) from None


def _own_class(named: str, place: Place) -> type[ChunkComponent]:
    module, _, name = named.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise DeclarationError(place, f"{named} cannot be loaded: {error}") from None
    if not (isinstance(found, type) and issubclass(found, ChunkComponent)):
        raise DeclarationError(
            place, f"{named} is not a class derived from ingestion_pipeline.dataflow.ChunkComponent"
        )
    return found


def _named(components: Iterator[Component]) -> list[Node]:
    """Give each component its name and its inputs."""
    nodes: list[Node] = []
    for number, component in enumerate(components):
        name = component.name or _in_lower_case(component.type)
        if any(node.name == name for node in nodes):
            raise DeclarationError(
                ("components", number), f"there are two components {name!r}: give one a 'name'"
            )
        above = (nodes[-1].name,) if nodes and component.reads else ()
        nodes.append(Node(name, component, component.inputs or above))
    return nodes


def _in_lower_case(type_: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type_.rpartition(".")[2]).lower()


def _check_inputs(node: Node, nodes: Sequence[Node], place: Place) -> None:
    """Make sure that there is what a component reads, and that it is what it can read."""
    known = {each.name: each for each in nodes}
    here = (*place, "inputs") if node.component.inputs else place
    for name in node.inputs:
        if name not in known:
            raise DeclarationError(
                here,
                f"{node.name!r} reads {name!r}, which there is not; expected one of: "
                + ", ".join(each for each in known if each != node.name),
            )
    reads = node.component.reads
    given = [known[name].component.gives for name in node.inputs]
    if reads and reads[0] not in given:
        raise DeclarationError(
            here,
            f"{node.name!r} ({node.component.type}) has no input that gives {reads[0]}; expected "
            f"one of: {_givers(reads[0])}",
        )
    for name, kind in zip(node.inputs, given, strict=True):
        if kind not in reads:
            raise DeclarationError(
                here,
                f"{node.name!r} ({node.component.type}) cannot read {name!r}, which gives {kind}; "
                + (f"expected {' and '.join(reads)}" if reads else "expected no inputs"),
            )
    if len(given) > 1 and len(reads) == 1 and reads[0] is not Kind.CHUNKS:
        raise DeclarationError(here, f"{node.name!r} ({node.component.type}) reads one input")


def _givers(kind: Kind) -> str:
    return ", ".join(name for name, each in BUILT_IN.items() if each.gives is kind)


def _ordered(nodes: Sequence[Node], places: Mapping[str, Place]) -> list[Node]:
    """Return the nodes after all that they read; of several, in the order they are declared."""
    try:
        TopologicalSorter({node.name: node.inputs for node in nodes}).prepare()
    except CycleError as error:
        cycle: list[str] = error.args[1]
        first = min(cycle, key=lambda name: places[name][1])
        start = cycle.index(first)
        around = [*cycle[start:-1], *cycle[:start], first] if start else cycle
        raise DeclarationError(
            (*places[first], "inputs"),
            f"the components go round in a cycle: {' → '.join(around)}",
        ) from None
    ordered: list[Node] = []
    waiting = list(nodes)
    while waiting:
        done = {node.name for node in ordered}
        node = next(each for each in waiting if done.issuperset(each.inputs))
        ordered.append(node)
        waiting.remove(node)
    return ordered


def _check_types(nodes: Sequence[Node], places: Mapping[str, Place]) -> None:
    """Make sure that there is one of each component that is a stage."""
    for types in ONCE.values():
        names = " or ".join(each.__name__ for each in types)
        found = [node for node in nodes if isinstance(node.component, types)]
        if not found:
            raise DeclarationError(("components",), f"a pipeline needs a component {names}")
        if len(found) > 1:
            raise DeclarationError(
                places[found[1].name],
                f"a pipeline has one {names}; {found[0].name!r} is one already",
            )


def _check_ends(pipeline: Pipeline, places: Mapping[str, Place]) -> None:
    """Make sure that everything gets to where it is needed."""
    read = pipeline.before(pipeline.of(Stage.INDEXED))
    embedder = pipeline.of(Stage.EMBEDDED)
    for node in pipeline.nodes:
        if node.step != Stage.INDEXED and node.name not in read:
            raise DeclarationError(
                places[node.name],
                f"what {node.name!r} gives does not get to the Indexer: name it among the inputs "
                "of a later component",
            )
        if node.component.gives_questions and node.name not in pipeline.before(embedder):
            raise DeclarationError(
                places[embedder.name],
                f"{node.name!r} gives questions, which vectors are made from: name it among the "
                f"inputs of {embedder.name!r}",
            )


def first_problem(
    error: ValidationError, form: type[BaseModel], place: Place = ()
) -> DeclarationError:
    """Say what pydantic found first, where, and what was expected.

    ``form`` is what was read, at ``place``.
    """
    first = error.errors(include_url=False)[0]
    where = tuple(part for part in first["loc"] if part not in (*BUILT_IN, "own"))
    at = (*place, *where)
    of = next((BUILT_IN[part] for part in first["loc"] if part in BUILT_IN), form)
    key, kind = where[-1] if where else "", first["type"]
    if kind == "extra_forbidden":
        known = [*of.model_fields]
        nearest = difflib.get_close_matches(str(key), known, n=1, cutoff=0.0)[0]
        return DeclarationError(
            at,
            f"{of.__name__.removesuffix('Form')} has no {key!r}; did you mean {nearest!r}? "
            f"Expected: {', '.join(known)}",
        )
    if kind == "missing":
        return DeclarationError(at[:-1], f"{key!r} is missing")
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        named = first["input"].get("type") if isinstance(first["input"], dict) else first["input"]
        expected = (
            f"expected one of: {', '.join(BUILT_IN)}, or a class of one's own as module.Class"
        )
        said = f"there is no component {named!r}" if named else "the component has no 'type'"
        return DeclarationError((*at, "type") if named else at, f"{said}; {expected}")
    message = first["msg"].removeprefix("Value error, ")
    return DeclarationError(at, f"{key}: {message}" if isinstance(key, str) and key else message)
