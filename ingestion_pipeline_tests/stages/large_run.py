"""A large table through the stages in a process of its own: ``python large_run.py FOLDER BYTES``.

Prints by how many bytes the process grew at most, before the table was indexed and until it was. A
small document goes first, so that what is loaded once does not count.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import psutil

from ingestion_pipeline.model.documents import STAGES, Stage
from ingestion_pipeline.parsing import ParserPool
from ingestion_pipeline.settings import Settings, hold_little_memory
from ingestion_pipeline.stages.work import Work
from ingestion_pipeline_tests.fakes import FakeEmbedder
from ingestion_pipeline_tests.stages.bench import Bench, remembered

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ingestion_pipeline.control import Control

SAMPLE_SECONDS = 0.005


class ForgetfulEmbedder(FakeEmbedder):
    """As large as a real one's are its vectors, and it remembers nothing."""

    dimension = 384
    max_tokens = 256

    def encode(self, texts: Sequence[str], control: Control) -> NDArray[np.float32]:
        import numpy as np

        vectors = np.random.default_rng(0).standard_normal((len(texts), self.dimension))
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


class Peak:
    """The most memory that this process was seen to hold."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self.begin = self.most = self._process.memory_info().rss
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def growth(self) -> int:
        return self.most - self.begin

    def _watch(self) -> None:
        while True:
            self.most = max(self.most, self._process.memory_info().rss)
            time.sleep(SAMPLE_SECONDS)


def orders(size: int) -> str:
    chance = random.Random(0)
    words = Path(__file__).read_text(encoding="utf-8").split()
    lines = ["id,price,city,remark"]
    length = 0
    while length < size:
        remark = " ".join(chance.choices(words, k=12)).replace('"', "").replace(",", "")
        lines.append(f"{len(lines)},{chance.uniform(1, 999):.2f},Lisbon,{remark}")
        length += len(lines[-1]) + 1
    return "\n".join(lines)


def succeeded(works: Sequence[Work]) -> Work:
    (work,) = works
    assert work.result.error is None, work.result.error
    return work


def main() -> None:
    hold_little_memory()  # as all our processes do
    folder, size = Path(sys.argv[1]), int(sys.argv[2])
    with ParserPool(1, 60, 2 * 1024**3) as parsers:
        bench = Bench(Settings(state_dir=folder, redis_url="unix:///nowhere"), parsers)
        bench.services.embedders["fake"] = cast("FakeEmbedder", ForgetfulEmbedder("fake"))
        succeeded(bench.run(bench.document("small.csv", orders(2_000))))
        document = bench.document("large.csv", orders(size))
        peak = Peak()
        work = succeeded(bench.run(document, stages=STAGES[:-1]))
        print(peak.growth)  # noqa: T201
        document = remembered(work)
        del work
        succeeded(bench.run(document, stages=[Stage.INDEXED]))
        print(peak.growth)  # noqa: T201


if __name__ == "__main__":
    main()
