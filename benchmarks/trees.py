"""How long building a tree takes, and how much memory, beside UMAP with Gaussian mixtures.

Makes vectors in random clusters of ten, and groups them layer by layer up to the root, the mean of
a group being its vector in the next layer; nothing is written or embedded. Every size has a process
of its own. 10,000 of them go through ``umap-learn`` and scikit-learn's mixture too, as RAPTOR does
it, in a Python that has both. Prints a Markdown table.

    python benchmarks/trees.py [--sizes 1000 10000 100000] [--peer-python PYTHON]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    Groups = Sequence[Sequence[int]]

DIMENSION = 384
CLUSTER = 10
MIB = 1024**2
INTERVAL_SECONDS = 0.02
ASKED = 500
METHODS = ("leiden", "classic", "peer")
HEAD = """\
| method | chunks | nodes by layer | seconds | CPU seconds | peak, MiB | neighbours found |
|---|---|---|---|---|---|---|"""


def main() -> None:
    """Make the vectors, build each tree in a process of its own, print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--classic-sizes", type=int, nargs="*", default=[])
    parser.add_argument("--peer-python", type=Path)
    parser.add_argument("--peer-size", type=int, default=10_000)
    parser.add_argument("--build", choices=METHODS, help=argparse.SUPPRESS)
    parser.add_argument("--vectors", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.build:
        print(json.dumps(build(options.build, options.vectors)))
        return
    wanted = [("leiden", size) for size in options.sizes]
    wanted += [("classic", size) for size in options.classic_sizes]
    wanted += [("peer", options.peer_size)] if options.peer_python else []
    print(HEAD)
    with tempfile.TemporaryDirectory() as folder:
        for method, size in wanted:
            python = options.peer_python if method == "peer" else Path(sys.executable)
            print(row(method, size, measure(python, method, make(size, Path(folder)))), flush=True)


def make(size: int, folder: Path) -> Path:
    """Write vectors whose siblings have a cosine of one half, and others none; in random order."""
    import numpy as np

    path = folder / f"{size}.npy"
    if not path.exists():
        chance = np.random.default_rng(0)
        centres = chance.standard_normal((-(-size // CLUSTER), DIMENSION), dtype=np.float32)
        vectors = np.repeat(centres, CLUSTER, axis=0)[:size]
        vectors += chance.standard_normal(vectors.shape, dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        np.save(path, vectors[chance.permutation(size)])
    return path


# Building


def build(method: str, path: Path) -> dict[str, Any]:
    """Build a tree in this process; return what it took."""
    import numpy as np

    vectors = np.load(path)
    next_layer, found = {"leiden": ours, "classic": classic, "peer": peer}[method]()
    wall, cpu = time.perf_counter(), cpu_seconds()
    layers = [len(vectors)]
    layer = vectors
    while len(layer) > 1:
        groups = next_layer(layer)
        if len(groups) >= len(layer):
            groups = [range(len(layer))]
        layer = np.stack([layer[list(group)].mean(axis=0) for group in groups])
        layers.append(len(layer))
    wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
    return {"layers": layers, "seconds": wall, "cpu": cpu, "recall": recall(vectors, found)}


def ours() -> tuple[Callable[[Vectors], Groups], list[Any]]:
    """Return our grouping, and a list that it will note the neighbours of the leaves in."""
    from ingestion_pipeline.control import NoControl
    from ingestion_pipeline.raptor import clusters

    found: list[Any] = []
    nearest = clusters.nearest

    def noting(*arguments: Any) -> Any:
        result = nearest(*arguments)
        found.append(result[0])
        return result

    clusters.nearest = noting
    return lambda layer: clusters.next_layer(layer, 0, NoControl()), found


def classic() -> tuple[Callable[[Vectors], Groups], list[Any]]:
    """Return the classic grouping with the usual parameters."""
    from ingestion_pipeline.control import NoControl
    from ingestion_pipeline.raptor import classic

    return lambda layer: classic.next_layer(layer, 0, 0.1, 64, NoControl()), []


def peer() -> tuple[Callable[[Vectors], Groups], list[Any]]:
    """Return RAPTOR's grouping: UMAP, and of all mixtures up to 63 components that of least BIC."""
    import numpy as np
    from sklearn.mixture import GaussianMixture
    from umap import UMAP

    def next_layer(layer: Vectors) -> Groups:
        if len(layer) <= 14:  # too few for 12 dimensions
            return [range(len(layer))]
        neighbours = min(max(int((len(layer) - 1) ** 0.5), 2), 100)
        points = UMAP(n_neighbors=neighbours, n_components=12, metric="cosine").fit_transform(layer)
        counts = range(1, min(64, len(layer)))
        mixtures = [GaussianMixture(count, random_state=0).fit(points) for count in counts]
        likely = min(mixtures, key=lambda mixture: mixture.bic(points)).predict_proba(points)
        members = [np.flatnonzero(column > 0.1) for column in likely.T]
        return [group.tolist() for group in members if len(group)]

    return next_layer, []


def cpu_seconds() -> float:
    """Return what this process and its ended children took."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def recall(vectors: Vectors, found: Sequence[Any]) -> float | None:
    """Return which share of the true neighbours of some leaves was found."""
    import numpy as np

    if not found:
        return None
    count = found[0].shape[1]
    hits = []
    for position in np.random.default_rng(0).choice(len(vectors), ASKED):
        cosines = vectors @ vectors[position]
        cosines[position] = -2
        true = np.argpartition(cosines, -count)[-count:]
        hits.append(np.isin(true, found[0][position]).mean())
    return float(np.mean(hits))


# Measuring


def measure(python: Path, method: str, vectors: Path) -> dict[str, Any]:
    """Build in another process and watch the memory of it and its children."""
    command = [str(python), __file__, "--build", method, "--vectors", str(vectors)]
    environment = os.environ | {"DO_NOT_TRACK": "1"}
    peaks = [0]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as run:
        watcher = threading.Thread(target=watch, args=(run, peaks))
        watcher.start()
        output, _ = run.communicate()
        watcher.join()
    if run.returncode:
        raise SystemExit(run.returncode)
    measured: dict[str, Any] = json.loads(output.splitlines()[-1])
    return measured | {"peak": max(peaks)}


def watch(run: subprocess.Popen[str], peaks: list[int]) -> None:
    """Note how much memory a process and its children hold together, until it ends."""
    import psutil

    process = psutil.Process(run.pid)
    while run.poll() is None:
        try:
            family = [process, *process.children(recursive=True)]
            peaks.append(sum(each.memory_info().rss for each in family))
        except psutil.NoSuchProcess:
            continue
        time.sleep(INTERVAL_SECONDS)


def row(method: str, size: int, measured: dict[str, Any]) -> str:
    """Render one line of the table."""
    layers = " → ".join(f"{nodes:,}" for nodes in measured["layers"])
    found = "" if measured["recall"] is None else f"{measured['recall']:.1%}"
    return (
        f"| {method} | {size:,} | {layers} | {measured['seconds']:.1f} | {measured['cpu']:.1f} "
        f"| {measured['peak'] // MIB:,} | {found} |"
    )


if __name__ == "__main__":
    main()
