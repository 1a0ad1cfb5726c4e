"""The features of a query (or of an item) as one vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from shortlist.data.feature_spec import FeatureSpec
from shortlist.data.features import MISSING


class FeatureEncoder(nn.Module):
    """Embedding layers for categories, tags and words, a linear layer for vectors, numbers as they are; concatenated.

    Args:
        specs: the features; categories and tags know how many codes they have. Ids are left out: see ``QueryNetwork``.
        embedding_dim: width of what each feature but a number becomes.

    Missing and unseen values have rows of their own. Missing numbers come as 0 with a flag beside them.
    """

    def __init__(self, specs: Sequence[FeatureSpec], embedding_dim: int = 16) -> None:
        super().__init__()
        self.numbers = sum(2 for spec in specs if spec.kind == "number")
        self.categories = [spec.name for spec in specs if spec.kind == "category"]
        self.tags = [spec.name for spec in specs if spec.kind in ("tags", "text")]
        self.vectors = [spec.name for spec in specs if spec.kind == "vector"]
        self.tables = nn.ModuleDict(
            {
                module_key(s.name): nn.Embedding(s.num_codes, embedding_dim)
                for s in specs
                if s.kind not in ("number", "vector", "id")
            }
        )
        self.projections = nn.ModuleDict(
            {module_key(s.name): nn.Linear(s.width + 1, embedding_dim) for s in specs if s.kind == "vector"}
        )
        for table in self.tables.values():
            nn.init.normal_(table.weight, std=0.05)  # type: ignore[arg-type]
        self.output_dim = self.numbers + embedding_dim * (len(self.tables) + len(self.projections))

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """[B, output_dim] from the arrays of ``network_inputs``."""
        parts = [inputs["numbers"]] if self.numbers else []
        parts += [self.tables[module_key(name)](inputs[f"category.{name}"]) for name in self.categories]
        for name in self.tags:
            codes = inputs[f"tags.{name}"]
            present = (codes >= MISSING).to(torch.float32)  # -1 pads
            vectors = self.tables[module_key(name)](codes.clamp(min=0)) * present.unsqueeze(-1)
            parts.append(vectors.sum(dim=1) / present.sum(dim=1, keepdim=True).clamp(min=1))
        parts += [self.projections[module_key(name)](inputs[f"vector.{name}"]) for name in self.vectors]
        return torch.cat(parts, dim=1)


def module_key(name: str) -> str:
    """A module's name may hold no dot."""
    return name.replace(".", "_dot_")
