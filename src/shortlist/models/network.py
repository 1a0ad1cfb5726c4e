"""What the deep retrievers share: a query network, and how queries come to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shortlist.data.feature_spec import FeatureSpec
from shortlist.data.queries import QueryBatch, SequenceQueries, network_inputs, sequence_inputs
from shortlist.data.ragged import Ragged
from shortlist.encoders.item_embedding import ItemEmbedding
from shortlist.encoders.item_graph import ItemGraph
from shortlist.encoders.query_network import QueryNetwork
from shortlist.settings import NetworkSettings

_QUERIES_AT_ONCE = 1024


class NetworkRetriever(nn.Module, ABC):
    """ψ by a network over the history and features of the query; a subclass says what items are.

    Args:
        num_items: size of the corpus N.
        query_specs: the query's features.
        settings: of the network.
        history_items: embeddings of history items; None where no history is used.
        item_counts: [N] positives an item has in training.
        taken: items of every user in training, for ``item_graph``.
    """

    history_weights: Tensor

    name: str
    has_item_bias: bool

    def __init__(
        self,
        num_items: int,
        query_specs: Sequence[FeatureSpec],
        settings: NetworkSettings,
        history_items: ItemEmbedding | None,
        item_counts: NDArray[Any],
        taken: Ragged | None = None,
    ) -> None:
        super().__init__()
        self.num_items, self.query_specs = num_items, tuple(query_specs)
        self.query = QueryNetwork(num_items, query_specs, settings)
        self.history_items = history_items
        self.graph = ItemGraph(taken, num_items, settings.item_graph) if settings.item_graph and taken else None
        weights = np.maximum(item_counts, 1).astype(np.float32) ** -settings.history_damping
        self.register_buffer("history_weights", torch.from_numpy(weights)[:, None], persistent=False)

    @property
    def max_history(self) -> int:
        """Most recent items the network sees."""
        return self.query.max_history

    def history_table(self) -> Tensor | None:
        """[N + 1, D] embeddings of history items, row 0 pads; it does not depend on the query."""
        if self.history_items is None:
            return None
        return nn.functional.pad(self.smoothed(self.history_items()) * self.history_weights, (0, 0, 1, 0))

    def smoothed(self, vectors: Tensor) -> Tensor:
        """Item vectors [N, D] over the graph of who took what, where there is one."""
        return vectors if self.graph is None else self.graph(vectors)

    def forward(self, inputs: Mapping[str, Tensor], history_table: Tensor | None = None) -> Tensor:
        """ψ [B, D].

        Args:
            inputs: the arrays of ``network_inputs`` (or, with a transformer, of ``sequence_inputs``).
            history_table: ``history_table()`` where it is at hand.
        """
        return self.query(inputs, self.history_table() if history_table is None else history_table)  # type: ignore[no-any-return]

    @abstractmethod
    def softmax_layer(self, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Weights [N, D] and bias [N] of the training softmax: logits = ψ · weightsᵀ + bias.

        Args:
            rows: [S] the items wanted; None: all.
        """

    @abstractmethod
    def encode_items(self) -> NDArray[np.float32]:
        """[N, D], with the bias as one more dimension where there is one."""

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def inputs(self, queries: QueryBatch | SequenceQueries) -> dict[str, Tensor]:
        """The arrays of ``network_inputs`` or ``sequence_inputs`` as tensors where the weights are."""
        if isinstance(queries, SequenceQueries):
            arrays = sequence_inputs(queries, self.query_specs)
        else:
            arrays = network_inputs(queries, self.query_specs, self.max_history)
        return {name: torch.from_numpy(array).to(self.device) for name, array in arrays.items()}

    def encode_queries(self, queries: QueryBatch) -> NDArray[np.float32]:
        """[B, D]: ψ; and 1 appended for the item's bias."""
        was_training = self.training
        self.eval()
        dim = self.query.settings.embedding_dim
        out = np.ones((len(queries), dim + self.has_item_bias), dtype=np.float32)
        with torch.inference_mode():
            table = self.history_table()
            for start in range(0, len(queries), _QUERIES_AT_ONCE):
                rows = np.arange(start, min(start + _QUERIES_AT_ONCE, len(queries)))
                out[rows, :dim] = self(self.inputs(queries.take(rows)), table).cpu().numpy()
        self.train(was_training)
        return out
