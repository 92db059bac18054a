from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion_pipeline.graph.page_rank import page_ranks

EDGES = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 5), st.sampled_from([0.5, 1.0, 3.0])).filter(
        lambda edge: edge[0] != edge[1]
    ),
    max_size=12,
)


@settings(deadline=None)
@given(EDGES)
def test_ranks_are_those_of_networkx(edges: list[tuple[int, int, float]]) -> None:
    graph = nx.Graph()
    graph.add_nodes_from(range(6))
    for one, other, weight in edges:
        known = graph.get_edge_data(one, other, {"weight": 0})["weight"]
        graph.add_edge(one, other, weight=known + weight)
    ends = np.array([edge[:2] for edge in edges], dtype=np.int64).reshape(-1, 2)

    ranks = page_ranks(ends, np.array([edge[2] for edge in edges], dtype=float), 6)

    assert ranks.tolist() == pytest.approx(
        list(nx.pagerank(graph, tol=1e-12, max_iter=1000).values()), abs=1e-6
    )
