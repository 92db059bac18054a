"""What graphs of documents hold, how good that is, and how long it takes.

Given passages (a line of JSON each, with ``id``, ``title`` and ``text``), measures how long reading
and merging take, and what one changed document costs. Given documents with gold mentions
(Re-DocRED), counts which of these are found, and how well they are put together, beside comparing
names letter by letter. Given a corpus and the graph that another system made of it (GraphML),
counts how many of its entities are found. Prints Markdown.

    python benchmarks/extraction.py [--passages FILE] [--gold FILE] [--corpus FILE --peer FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import time
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.graph.document_graph import Material, document_graphs
from ingestion_pipeline.graph.linking import known_names, linked
from ingestion_pipeline.graph.merge import merged
from ingestion_pipeline.graph.normal_form import folded, normal_form, singular
from ingestion_pipeline.graph.readers import Readers
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.graph import DocumentGraph, EntityType, KnowledgeGraph

WORDS_IN_A_CHUNK = 130
NAMELESS = {EntityType.CONCEPT, EntityType.QUANTITY}
TYPES = {
    "PER": {EntityType.PERSON},
    "ORG": {EntityType.ORGANIZATION},
    "LOC": {EntityType.PLACE, EntityType.GROUP},
    "TIME": {EntityType.DATE},
    "MISC": {EntityType.WORK, EntityType.EVENT, EntityType.PRODUCT, EntityType.LAW},
}
NO_SPACE_BEFORE = re.compile(r"[,.;:!?%)\]}]|'\w{1,2}|n't|''")
NO_SPACE_BEHIND = re.compile(r"[(\[{$£€]|``")

Spot = tuple[int, int]
"""Where a mention begins and ends."""


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--passages", type=Path)
    parser.add_argument("--most", type=int, default=1000)
    parser.add_argument("--gold", type=Path)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--peer", type=Path)
    options = parser.parse_args()
    if options.passages:
        print_speed(options.passages, options.most)
    if options.gold:
        print_gold(options.gold, options.most)
    if options.corpus and options.peer:
        print_peer(options.corpus, options.peer)


def print_speed(path: Path, most: int) -> None:
    """Print how long a collection takes, and one more document."""
    lines = path.read_text(encoding="utf-8").splitlines()[:most]
    rows = [json.loads(line) for line in lines]
    materials = [material(row["id"], row["title"], [row["text"]]) for row in rows]
    texts = {chunk.chunk_id: chunk.text for each in materials for chunk in each.chunks}
    words = sum(len(text.split()) for text in texts.values())
    seconds: dict[str, tuple[float, float]] = {}
    for most in (1, 2):
        what = f"read {len(rows)} passages, {words} words, in {most} processes that start"
        with Clock(seconds, what), Readers(most) as readers:
            graphs = list(document_graphs(materials, NoControl(), readers=readers))
    with Clock(seconds, "link and merge them"):
        whole = linked_and_merged(graphs, texts)
    with Clock(seconds, "read one again, link and merge all"):
        with Readers(1) as readers:
            [graphs[0]] = document_graphs(materials[:1], NoControl(), readers=readers)
        again = linked_and_merged(graphs, texts)
    print("| | seconds | CPU seconds |\n|---|---|---|")
    for what, (wall, cpu) in seconds.items():
        print(f"| {what} | {wall:.1f} | {cpu:.1f} |")
    kinds = Counter(relation.kind for relation in whole.relations)
    titled = sum(bool(entity.titles) for entity in whole.entities)
    print(f"\n{len(whole.entities)} entities ({titled} titles), relations: {dict(kinds)}")
    print(f"the same when made again: {whole == again}\n")


def print_gold(path: Path, most: int) -> None:
    """Print which gold mentions are found, and how well they are put together."""
    documents = json.loads(path.read_text(encoding="utf-8"))[:most]
    spots = [Gold(document) for document in documents]
    graphs = document_graphs(
        (material(str(place), None, [each.text]) for place, each in enumerate(spots)), NoControl()
    )
    found = Found()
    for gold, graph in zip(spots, graphs, strict=True):
        found.add(gold, graph)
    found.show()


def print_peer(corpus: Path, peer: Path) -> None:
    """Print which share of another system's entities is found."""
    book = json.loads(corpus.read_text(encoding="utf-8"))
    words = book["context"].split(" ")
    starts = range(0, len(words), WORDS_IN_A_CHUNK)
    chunks = [" ".join(words[start : start + WORDS_IN_A_CHUNK]) for start in starts]
    began = time.perf_counter()
    graphs = list(document_graphs([material("book", None, chunks)], NoControl()))
    texts = {chunk_id("book", place): text for place, text in enumerate(chunks)}
    ours = linked_and_merged(graphs, texts)
    took = time.perf_counter() - began
    nodes, edges = peer_names(peer)
    written = {loose(alias) for entity in ours.entities for alias in entity.aliases}
    noted = {loose(alias) for entity in graphs[0].entities for alias in entity.aliases}
    text = folded(normal_form(book["context"]))
    standing = [name for name in nodes if loose(name) in text]
    print("| | entities | relations | of its entities found |\n|---|---|---|---|")
    print(f"| the other | {len(nodes)} | {edges} | |")
    print(
        f"| ours, {took:.0f} s | {len(ours.entities)} | {len(ours.relations)} | "
        f"{share(nodes, written):.3f}; in document graphs {share(nodes, noted):.3f}; of the "
        f"{len(standing)} that stand in the text {share(standing, written):.3f} and "
        f"{share(standing, noted):.3f} |\n"
    )


class Clock:
    """Measures what happens within it, in this process and in those that end meanwhile."""

    def __init__(self, seconds: dict[str, tuple[float, float]], what: str) -> None:
        self._seconds, self._what = seconds, what

    def __enter__(self) -> None:
        self._began = time.perf_counter(), sum(os.times()[:4])

    def __exit__(self, *_: object) -> None:
        wall, cpu = self._began
        self._seconds[self._what] = time.perf_counter() - wall, sum(os.times()[:4]) - cpu


class Gold:
    """A document of words, as a text with gold mentions."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.text = ""
        places = [list(self._add(sentence)) for sentence in document["sents"]]
        self.clusters: list[dict[Spot, str]] = []
        for cluster in document["vertexSet"]:
            spots = {}
            for mention in cluster:
                sentence, (first, end) = places[mention["sent_id"]], mention["pos"]
                if mention["type"] in TYPES:
                    spots[sentence[first][0], sentence[end - 1][1]] = mention["type"]
            if spots:
                self.clusters.append(spots)

    def _add(self, words: Sequence[str]) -> Iterator[Spot]:
        open_quote = False
        glued = True
        for word in words:
            closing = word == '"' and open_quote
            if not (glued or closing or NO_SPACE_BEFORE.fullmatch(word)):
                self.text += " "
            start = len(self.text)
            self.text += word
            yield start, len(self.text)
            open_quote ^= word == '"'
            glued = bool(NO_SPACE_BEHIND.fullmatch(word)) or (word == '"' and open_quote)
        self.text += " "


class Found:
    """What was found of all gold mentions."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._by_type: dict[str, Counter[str]] = defaultdict(Counter)
        self._scores: dict[str, list[tuple[float, float]]] = defaultdict(list)

    def add(self, gold: Gold, graph: DocumentGraph) -> None:
        """Compare a document."""
        truth = {spot: place for place, each in enumerate(gold.clusters) for spot in each}
        kinds = {spot: kind for each in gold.clusters for spot, kind in each.items()}
        named = [each for each in graph.entities if each.type not in NAMELESS]
        spots = {
            (mention.start, mention.end): place
            for place, entity in enumerate(graph.entities)
            for mention in entity.mentions
        }
        ours = {spot for spot, place in spots.items() if graph.entities[place] in named}
        self._count("mentions", len(truth.keys() & ours), len(truth), len(ours))
        typed = {spot for spot in truth.keys() & ours if self._typed(graph, spots, spot, kinds)}
        self._count("mentions and types", len(typed), len(truth), len(ours))
        hit = {truth[spot] for spot in truth.keys() & ours}
        right = {spots[spot] for spot in truth.keys() & ours}
        self._count("entities", min(len(hit), len(right)), len(gold.clusters), len(named))
        for spot, kind in kinds.items():
            self._by_type[kind]["gold"] += 1
            self._by_type[kind]["found"] += spot in spots
        self._compare(gold, truth, spots)

    def show(self) -> None:
        """Print it all."""
        print("| | precision | recall | F1 |\n|---|---|---|---|")
        for what in ("mentions", "mentions and types", "entities"):
            right, gold, ours = (self._counts[f"{what} {each}"] for each in ("hit", "gold", "ours"))
            line(what, right / ours, right / gold)
        for what, scores in self._scores.items():
            line(
                f"B³, {what}",
                sum(precision for precision, _ in scores) / len(scores),
                sum(recall for _, recall in scores) / len(scores),
            )
        found = ", ".join(
            f"{kind} {each['found'] / each['gold']:.2f}" for kind, each in self._by_type.items()
        )
        print(f"\nmentions found by type: {found}\n")

    def _typed(
        self,
        graph: DocumentGraph,
        spots: Mapping[Spot, int],
        spot: Spot,
        kinds: Mapping[Spot, str],
    ) -> bool:
        return graph.entities[spots[spot]].type in TYPES[kinds[spot]]

    def _count(self, what: str, hit: int, gold: int, ours: int) -> None:
        self._counts[f"{what} hit"] += hit
        self._counts[f"{what} gold"] += gold
        self._counts[f"{what} ours"] += ours

    def _compare(self, gold: Gold, truth: Mapping[Spot, int], spots: Mapping[Spot, int]) -> None:
        """Score the groups of the mentions that are found; those of all, one missed being alone."""
        letters = {spot: gold.text[spot[0] : spot[1]] for spot in truth}
        both = truth.keys() & spots.keys()
        self._scores["found, ours"] += b_cubed({spot: spots[spot] for spot in both}, truth)
        self._scores["found, letter by letter"] += b_cubed(
            {spot: letters[spot] for spot in both}, truth
        )
        alone: dict[Spot, Hashable] = {spot: spots.get(spot, spot) for spot in truth}
        self._scores["all, ours"] += b_cubed(alone, truth)
        self._scores["all, letter by letter, had it found all"] += b_cubed(letters, truth)


def b_cubed(
    ours: Mapping[Spot, Hashable], truth: Mapping[Spot, int]
) -> Iterator[tuple[float, float]]:
    """Yield precision and recall of the group of each mention (Bagga & Baldwin 1998)."""
    groups: dict[Hashable, set[Spot]] = defaultdict(set)
    gold: dict[int, set[Spot]] = defaultdict(set)
    for spot, group in ours.items():
        groups[group].add(spot)
        gold[truth[spot]].add(spot)
    for spot, group in ours.items():
        same = len(groups[group] & gold[truth[spot]])
        yield same / len(groups[group]), same / len(gold[truth[spot]])


def line(what: str, precision: float, recall: float) -> None:
    """Print a line of a table."""
    f1 = 2 * precision * recall / (precision + recall)
    print(f"| {what} | {precision:.3f} | {recall:.3f} | {f1:.3f} |")


def material(document_id: str, title: str | None, texts: Sequence[str]) -> Material:
    """Return a document of chunks that are these texts."""
    chunks = [
        Chunk(chunk_id(document_id, place), document_id, place, text, 1, 0, len(text))
        for place, text in enumerate(texts)
    ]
    return Material(document_id, chunks, title, "en")


def chunk_id(document_id: str, place: int) -> str:
    """Return the id of a chunk."""
    return f"{document_id}#{place}"


def linked_and_merged(graphs: Sequence[DocumentGraph], texts: Mapping[str, str]) -> KnowledgeGraph:
    """Return the graph of the collection."""
    names = known_names(graphs)
    return merged("benchmark", (linked(each, texts, names) for each in graphs), NoControl())


def peer_names(path: Path) -> tuple[list[str], int]:
    """Return the names of the nodes of a graph, and how many edges it has."""
    root = ET.parse(path).getroot()
    nodes = [node.attrib["id"].strip('"') for node in root.iter() if node.tag.endswith("}node")]
    return nodes, sum(node.tag.endswith("}edge") for node in root.iter())


def loose(name: str) -> str:
    """Return what names are compared by."""
    return folded(singular(normal_form(unicodedata.normalize("NFKC", name))))


def share(names: Iterable[str], known: set[str]) -> float:
    """Return which share of the names is known."""
    found = [loose(name) in known for name in names]
    return sum(found) / len(found)


if __name__ == "__main__":
    main()
