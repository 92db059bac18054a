"""Compare extractive summaries of long stories with what four people wrote about each.

The folder is SQuALITY's: ``dev.jsonl`` (``train.jsonl``: tune on that), a story a line with
``document`` and ``questions``, of which the first asks for the plot of the whole. Prints a Markdown
table of ROUGE-1, ROUGE-2 and ROUGE-L: F-measure, no stemming, words of letters and digits in lower
case, the mean over the four people; in brackets 95 % of what stories drawn anew would give.
Everybody chooses from the same sentences, has the same budget of the embedding model's tokens and
skips what does not fit any more.

    python benchmarks/summaries.py --data FOLDER [--split train] [--max-tokens 256 512]

Passages are packed sentences, not the project's chunks, so that the figures do not move with the
chunker.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ingestion_pipeline.chunking.sentences import sentence_starts
from ingestion_pipeline.control import NoControl
from ingestion_pipeline.embedding import Embedder, load_embedder
from ingestion_pipeline.enrichment.keywords import keywords
from ingestion_pipeline.enrichment.words import features
from ingestion_pipeline.model.chunks import Chunk, chunk_id
from ingestion_pipeline.settings import PACKAGED_MODEL
from ingestion_pipeline.summarising.extractive import extract
from ingestion_pipeline.summarising.text import TextTools, sentences, shown

PASSAGE_CHARACTERS = 900
SECTION = 10
"""Passages that one summary of the first layer is about."""
ALIKE = 0.1
"""Cosine from which on LexRank takes two sentences to support each other."""
DAMPING = 0.85
RESAMPLES = 2000
WORD = re.compile(r"[a-z0-9]+")
MEASURES = ("ROUGE-1", "ROUGE-2", "ROUGE-L")


@dataclass
class Story:
    """A story in passages, and what people wrote about it."""

    chunks: list[Chunk]
    vectors: NDArray[np.float32]
    sentences: list[str]
    costs: list[int]
    """Tokens of each sentence, without special ones."""
    references: list[list[str]]


Method = Callable[[Story, int], str]


def main() -> None:
    """Read the stories, summarise each in every way, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="dev")
    parser.add_argument("--max-tokens", type=int, nargs="+", default=[256])
    arguments = parser.parse_args()
    embedder = load_embedder(PACKAGED_MODEL)
    tools = english(embedder)
    stories = list(read(arguments.data / f"{arguments.split}.jsonl", embedder, tools))
    print(f"{len(stories)} stories ({arguments.split}), {len(stories[0].references)} people each\n")
    for max_tokens in arguments.max_tokens:
        report(stories, max_tokens, methods(tools))


def english(embedder: Embedder) -> TextTools:
    """Return the tools for English."""

    def key_phrases(texts: Sequence[str], limit: int) -> list[tuple[str, ...]]:
        return keywords([made("", place, text) for place, text in enumerate(texts)], limit, "en")

    return TextTools(
        sentence_starts=sentence_starts,
        token_counts=embedder.tokenizer.counts,
        features=lambda text: features(text, "en"),
        key_phrases=key_phrases,
    )


def read(path: Path, embedder: Embedder, tools: TextTools) -> Iterator[Story]:
    """Yield the stories of a file."""
    special = embedder.tokenizer.special_tokens_per_text
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        name = record["metadata"]["passage_id"]
        chunks = [made(name, *each) for each in enumerate(passages(record["document"]))]
        spans = sentences(chunks, tools.sentence_starts)
        found = [
            shown(chunk.text, start, end)
            for chunk, each in zip(chunks, spans, strict=True)
            for start, end in each
        ]
        found = list(dict.fromkeys(found))
        yield Story(
            chunks=chunks,
            vectors=embedder.encode([chunk.text for chunk in chunks], NoControl()),
            sentences=found,
            costs=[count - special for count in embedder.tokenizer.counts(found)],
            references=[
                words(answer["response_text"]) for answer in record["questions"][0]["responses"]
            ],
        )


def made(document_id: str, place: int, text: str) -> Chunk:
    """Return a chunk that is not said to overlap any other."""
    return Chunk(chunk_id(document_id, text, place), document_id, place, text, 0, 0, 0)


def passages(text: str) -> list[str]:
    """Pack paragraphs into passages, long ones sentence by sentence."""
    packed = [""]
    for paragraph in re.split(r"\n\s*\n", text):
        blank = "\n\n"
        for sentence in re.split(r"(?<=[.!?])\s+", paragraph.strip()):
            if packed[-1] and len(packed[-1]) + len(sentence) > PASSAGE_CHARACTERS:
                packed.append("")
            packed[-1] = f"{packed[-1]}{blank}{sentence}".strip()
            blank = " "
    return [text for text in packed if text]


def methods(tools: TextTools) -> dict[str, Method]:
    """Return every way that is compared, by its name."""
    return {
        "lead": lambda story, room: shortened(range(len(story.sentences)), story, room),
        "LexRank": lexrank,
        "ours, all at once": lambda story, room: (
            extract(story.chunks, story.vectors, room, tools).text
        ),
        "ours, through layers": lambda story, room: through_layers(story, room, tools),
    }


def through_layers(story: Story, max_tokens: int, tools: TextTools) -> str:
    """Summarise sections, then the passages that their summaries cite, as a tree does."""
    cited: set[str] = set()
    count = max(1, round(len(story.chunks) / SECTION))
    for section in np.array_split(np.arange(len(story.chunks)), count):
        chunks = [story.chunks[place] for place in section]
        written = extract(chunks, story.vectors[section], max_tokens, tools)
        cited |= {citation.chunk_id for citation in written.citations}
    kept = [place for place, chunk in enumerate(story.chunks) if chunk.chunk_id in cited]
    return extract(
        [story.chunks[place] for place in kept], story.vectors[kept], max_tokens, tools
    ).text


def lexrank(story: Story, max_tokens: int) -> str:
    """Choose the most central sentences (Erkan & Radev 2004), by TF-IDF and power iteration."""
    terms = [features(sentence, "en") for sentence in story.sentences]
    frequencies = Counter(term for each in terms for term in each)
    columns = {term: column for column, term in enumerate(sorted(frequencies))}
    matrix = np.zeros((len(terms), len(columns)))
    for row, each in enumerate(terms):
        for term in each:
            matrix[row, columns[term]] = np.log(1 + len(terms) / frequencies[term])
    matrix /= np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)
    support = (matrix @ matrix.T >= ALIKE).astype(float)
    support /= np.maximum(support.sum(axis=1, keepdims=True), 1)
    rank = np.full(len(terms), 1 / len(terms))
    for _ in range(100):
        rank = (1 - DAMPING) / len(terms) + DAMPING * (rank @ support)
    return shortened([int(index) for index in np.argsort(-rank, kind="stable")], story, max_tokens)


def shortened(order: Sequence[int], story: Story, max_tokens: int) -> str:
    """Return the first sentences of an order that fit, in the order of the story."""
    room = max_tokens - 2
    chosen = []
    for index in order:
        if story.costs[index] <= room:
            chosen.append(index)
            room -= story.costs[index]
    return "\n".join(story.sentences[index] for index in sorted(chosen))


def report(stories: Sequence[Story], max_tokens: int, ways: dict[str, Method]) -> None:
    """Print one line for each way."""
    print(f"At most {max_tokens} tokens:\n\n| summary | {' | '.join(MEASURES)} | words | ms each |")
    print("|---|---|---|---|---|---|")
    scores: dict[str, NDArray[np.float64]] = {}
    for name, way in ways.items():
        began = time.process_time()
        texts = [way(story, max_tokens) for story in stories]
        milliseconds = 1000 * (time.process_time() - began) / len(stories)
        summaries = [words(text) for text in texts]
        scores[name] = np.array(
            [rouge(each, story.references) for each, story in zip(summaries, stories, strict=True)]
        )
        length = np.mean([len(summary) for summary in summaries])
        columns = [*map(interval, scores[name].T), f"{length:.0f}", f"{milliseconds:.0f}"]
        print(f"| {name} | {' | '.join(columns)} |")
    print()
    for name in list(ways)[2:]:
        for baseline in list(ways)[:2]:
            gains = (scores[name] - scores[baseline]).T
            print(f"- {name}, over {baseline}: {', '.join(map(interval, gains))}")
    print()


def interval(values: NDArray[np.float64]) -> str:
    """Return the mean in hundredths, and its bootstrap interval."""
    generator = np.random.default_rng(0)
    draws = generator.choice(values, (RESAMPLES, len(values))).mean(axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    return f"{100 * values.mean():.1f} ({100 * low:.1f} to {100 * high:.1f})"


def words(text: str) -> list[str]:
    """Return the words as ROUGE counts them."""
    return WORD.findall(text.lower())


def rouge(summary: list[str], references: Sequence[list[str]]) -> list[float]:
    """Return ROUGE-1, ROUGE-2 and ROUGE-L, each the mean over the references."""
    each = [
        (overlap(summary, other, 1), overlap(summary, other, 2), common_order(summary, other))
        for other in references
    ]
    return [float(value) for value in np.mean(each, axis=0)]


def overlap(summary: list[str], reference: list[str], size: int) -> float:
    """Return the F-measure of sequences of ``size`` words."""
    one, other = (
        Counter(zip(*(text[shift:] for shift in range(size)), strict=False))
        for text in (summary, reference)
    )
    return 2 * (one & other).total() / max(1, one.total() + other.total())


def common_order(summary: list[str], reference: list[str]) -> float:
    """Return the F-measure of the longest common subsequence, found a row of bits at a time."""
    places: dict[str, int] = {}
    for place, word in enumerate(summary):
        places[word] = places.get(word, 0) | 1 << place
    everywhere = (1 << len(summary)) - 1
    row = everywhere
    for word in reference:
        hits = row & places.get(word, 0)
        row = ((row + hits) | (row - hits)) & everywhere
    length = len(summary) - row.bit_count()
    return 2 * length / max(1, len(summary) + len(reference))


if __name__ == "__main__":
    main()
