"""The features of a query (or of an item) as one vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from shortlist.data.features import MISSING, FeatureSpec


class FeatureEncoder(nn.Module):
    """Embedding layers for categories and tags, numbers as they are; concatenated.

    Args:
        specs: the features; categories and tags know how many codes they have.
        embedding_dim: width of each category's and each tag set's embedding.

    Missing and unseen values have rows of their own. Missing numbers come as 0 with a flag beside them.
    """

    def __init__(self, specs: Sequence[FeatureSpec], embedding_dim: int = 16) -> None:
        super().__init__()
        self.numbers = sum(2 for spec in specs if spec.kind == "number")
        self.categories = [spec.name for spec in specs if spec.kind == "category"]
        self.tags = [spec.name for spec in specs if spec.kind == "tags"]
        self.tables = nn.ModuleDict(
            {_key(s.name): nn.Embedding(s.num_codes, embedding_dim) for s in specs if s.kind != "number"}
        )
        for table in self.tables.values():
            nn.init.normal_(table.weight, std=0.05)  # type: ignore[arg-type]
        self.output_dim = self.numbers + embedding_dim * len(self.tables)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """[B, output_dim] from the arrays of ``network_inputs``."""
        parts = [inputs["numbers"]] if self.numbers else []
        parts += [self.tables[_key(name)](inputs[f"category.{name}"]) for name in self.categories]
        for name in self.tags:
            codes = inputs[f"tags.{name}"]
            present = (codes >= MISSING).to(torch.float32)  # -1 pads
            vectors = self.tables[_key(name)](codes.clamp(min=0)) * present.unsqueeze(-1)
            parts.append(vectors.sum(dim=1) / present.sum(dim=1, keepdim=True).clamp(min=1))
        return torch.cat(parts, dim=1)


def _key(name: str) -> str:
    """A module's name may hold no dot."""
    return name.replace(".", "_dot_")
