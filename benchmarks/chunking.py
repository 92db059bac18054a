"""How fast texts are cut into chunks that fit the model, beside LlamaIndex's splitter.

Takes a folder of texts (``.txt``, ``.md``), or makes prose of its own. Parsing is not in the time,
tokenising is: both count tokens with the embedding model's own tokenizer and obey the same cap.
They take turns; the peer runs in a virtual environment that is made at the first use (see
``end_to_end``), or not at all with ``--alone``. Prints a Markdown table.

    python benchmarks/chunking.py [FOLDER] [--megabytes 4] [--rounds 3] [--alone]
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MOST_TOKENS = 256
"""With the two special ones."""
PEER_ARGUMENT = "--be-the-peer"
PEER = "llamaindex"


@dataclass(frozen=True)
class Cut:
    """What one pass over all texts took, and gave."""

    seconds: float
    chunks: list[str]


def main() -> None:
    """Cut in turns, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--megabytes", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--alone", action="store_true")
    parser.add_argument(PEER_ARGUMENT, dest="model", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.model:
        print(json.dumps(vars(by_the_peer(json.load(sys.stdin), options.model))))
        return
    with tempfile.TemporaryDirectory(prefix="chunking-") as place:
        folder = options.folder or made(Path(place), options.megabytes)
        texts = [
            path.read_text(encoding="utf-8", errors="replace")
            for path in sorted(folder.rglob("*"))
            if path.suffix in {".txt", ".md"}
        ]
    taken: dict[str, list[Cut]] = {"ours": []} | ({} if options.alone else {PEER: []})
    for _ in range(options.rounds):
        taken["ours"].append(by_us(texts))
        if not options.alone:
            taken[PEER].append(by_its_environment(texts))
    print(table(taken, sum(len(text.encode()) for text in texts)))


def made(folder: Path, megabytes: float) -> Path:
    """Write prose: paragraphs of sentences of words, 20 kB a file."""
    from documents import WORDS

    chance = random.Random(0)
    words = WORDS.split()
    for number in range(round(megabytes * 50)):
        paragraphs = []
        while sum(map(len, paragraphs)) < 20_000:
            sentences = (
                " ".join(chance.choices(words, k=chance.randrange(5, 25))).capitalize() + "."
                for _ in range(chance.randrange(2, 9))
            )
            paragraphs.append(" ".join(sentences))
        (folder / f"{number:05}.txt").write_text("\n\n".join(paragraphs))
    return folder


def by_us(texts: Sequence[str]) -> Cut:
    """Cut with this project."""
    from ingestion_pipeline.chunking import ChunkPlan, cut
    from ingestion_pipeline.embedding import Tokenizer, model_folder
    from ingestion_pipeline.model.collections import ParserKind
    from ingestion_pipeline.parsing import parse
    from ingestion_pipeline.settings import PACKAGED_MODEL

    parsed = [parse(text.encode(), "text.txt") for text in texts]
    tokenizer = Tokenizer(model_folder(PACKAGED_MODEL))
    plan = ChunkPlan(ParserKind.GENERAL, None, MOST_TOKENS)
    began = time.perf_counter()
    chunks = [
        chunk.text
        for number, document in enumerate(parsed)
        for chunk in cut(document, str(number), tokenizer, plan, _no_vectors)
    ]
    return Cut(time.perf_counter() - began, chunks)


def _no_vectors(_: Sequence[str]) -> object:
    raise AssertionError("this strategy needs no vectors")


def by_its_environment(texts: Sequence[str]) -> Cut:
    """Cut with the peer, in its own virtual environment."""
    from end_to_end import interpreter

    from ingestion_pipeline.embedding import model_folder
    from ingestion_pipeline.settings import PACKAGED_MODEL

    command = [interpreter(PEER), __file__, PEER_ARGUMENT, model_folder(PACKAGED_MODEL)]
    said = subprocess.run(
        command, input=json.dumps(texts), stdout=subprocess.PIPE, text=True, check=True
    )
    return Cut(**json.loads(said.stdout.splitlines()[-1]))


def by_the_peer(texts: Sequence[str], model: str) -> Cut:
    """Cut with LlamaIndex's splitter at sentences; to be called where that is installed."""
    from llama_index.core.node_parser import SentenceSplitter
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    splitter = SentenceSplitter(
        chunk_size=MOST_TOKENS - 2,
        chunk_overlap=0,
        tokenizer=lambda text: tokenizer.encode(text, add_special_tokens=False),
    )
    began = time.perf_counter()
    chunks = [chunk for text in texts for chunk in splitter.split_text(text)]
    return Cut(time.perf_counter() - began, chunks)


def table(taken: dict[str, list[Cut]], size: int) -> str:
    """Render medians."""
    from ingestion_pipeline.embedding import Tokenizer, model_folder
    from ingestion_pipeline.settings import PACKAGED_MODEL

    tokenizer = Tokenizer(model_folder(PACKAGED_MODEL))
    lines = [
        f"| {size / 1e6:.1f} MB | seconds | MB/s | chunks | tokens each | over the cap |",
        "|---|---|---|---|---|---|",
    ]
    for tool, cuts in taken.items():
        seconds = statistics.median(one.seconds for one in cuts)
        counts = list(tokenizer.counts(cuts[0].chunks))
        over = sum(count > MOST_TOKENS for count in counts)
        lines.append(
            f"| {tool} | {seconds:.2f} | {size / seconds / 1e6:.2f} | {len(counts):,} | "
            f"{statistics.mean(counts):.0f} | {over} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
