"""Neural collaborative filtering as PyTorch modules: what is trained.

He, Liao, Zhang, Nie, Hu, Chua: *Neural Collaborative Filtering*, WWW 2017. ŷ(u, i) = σ(logit), with

    GMF    g = p_u ∘ q_i                                       element by element, vectors of its own
    MLP    z = ReLU(W_L … ReLU(W_1 [m_u ; n_i] + b_1) … + b_L)  other vectors; every layer half as wide as the last
    NeuMF  logit = h · [g ; z] + b                              GMF alone and MLP alone: h · g + b, h · z + b

The first layer is linear before its ReLU, so W_1 [m_u ; n_i] = W_u m_u + W_i n_i: a part of each user and a part of each
item, computed once and added for every pair. ``shortlist.models.ncf`` scores so without PyTorch.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shortlist.settings import NCFSettings

_EMBEDDING_DEVIATION = 0.1  # of the starting vectors; the paper's 0.01 takes twice as many epochs


class NCFNetwork(nn.Module):
    """GMF, MLP or NeuMF, as ``settings.model`` says.

    Args:
        num_users: U.
        num_items: N.
        settings: with F = ``embedding_dim``, the width of g and z, and L = ``tower_layers``: the vectors of the MLP have
            F · 2^(L − 1) numbers, so that two of them side by side are halved L times.

    >>> network = NCFNetwork(3, 5, NCFSettings(model="neumf", embedding_dim=8, tower_layers=2))
    >>> [tuple(layer.weight.shape) for layer in network.tower], network(torch.tensor([2]), torch.tensor([4])).shape
    ([(16, 32), (8, 16)], torch.Size([1]))
    """

    def __init__(self, num_users: int, num_items: int, settings: NCFSettings) -> None:
        super().__init__()
        self.num_users, self.num_items, self.settings = num_users, num_items, settings
        dim, layers = settings.embedding_dim, settings.tower_layers
        factors, width = (
            (0 if settings.model == "mlp" else dim),
            (0 if settings.model == "gmf" else dim << (layers - 1)),
        )
        self.gmf_users, self.gmf_items = _table(num_users, factors), _table(num_items, factors)
        self.mlp_users, self.mlp_items = _table(num_users, width), _table(num_items, width)
        self.tower = nn.ModuleList(nn.Linear(2 * width >> i, width >> i) for i in range(layers if width else 0))
        for layer in self.tower:
            nn.init.xavier_uniform_(layer.weight)  # type: ignore[arg-type]
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        self.head = nn.Linear(factors + (dim if width else 0), 1)
        nn.init.ones_(self.head.weight[:, :factors])  # GMF starts as a dot product
        nn.init.zeros_(self.head.bias)

    @property
    def factors(self) -> int:
        """Width of g; 0 without GMF."""
        return self.gmf_users.shape[1]

    def forward(self, user_idx: Tensor, item_idx: Tensor) -> Tensor:
        """Logits [B] of B pairs, as the formula says; for gradients faster than autograd's see ``training.ncf_gradient``."""
        product = self.gmf_users[user_idx] * self.gmf_items[item_idx]
        hidden = torch.cat([self.mlp_users[user_idx], self.mlp_items[item_idx]], dim=1)
        for layer in self.tower:
            hidden = torch.relu(layer(hidden))
        logits: Tensor = self.head(torch.cat([product, hidden], dim=1))[:, 0]
        return logits

    def squared_lengths(self, user_idx: Tensor, item_idx: Tensor) -> Tensor:
        """[B] squared lengths of the vectors of B pairs, summed: what regularization keeps small."""
        tables = (
            (self.gmf_users, user_idx),
            (self.mlp_users, user_idx),
            (self.gmf_items, item_idx),
            (self.mlp_items, item_idx),
        )
        total: Tensor = sum(table[rows].square().sum(dim=1) for table, rows in tables)  # type: ignore[assignment]
        return total

    @torch.no_grad()
    def folded(self) -> dict[str, NDArray[np.float32]]:
        """The arrays of ``shortlist.models.ncf.NCF``: the first layer in a part of each user and each item, h in GMF's items."""
        weights = self.head.weight[0]
        arrays = {"users.gmf": self.gmf_users, "items.gmf": self.gmf_items * weights[: self.factors]}
        if self.tower:
            first, width = self.tower[0], self.mlp_users.shape[1]
            assert isinstance(first, nn.Linear)
            arrays["users.mlp"] = self.mlp_users @ first.weight[:, :width].T + first.bias
            arrays["items.mlp"] = self.mlp_items @ first.weight[:, width:].T
        for number, layer in enumerate(list(self.tower)[1:], start=2):
            assert isinstance(layer, nn.Linear)
            arrays |= {f"tower.{number}.weight": layer.weight, f"tower.{number}.bias": layer.bias}
        arrays |= {"head.weight": weights[self.factors :], "head.bias": self.head.bias}
        return {name: array.detach().cpu().contiguous().numpy().copy() for name, array in arrays.items()}


def _table(rows: int, width: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(rows, width) * _EMBEDDING_DEVIATION)


@torch.no_grad()
def join(gmf: NCFNetwork, mlp: NCFNetwork, joined: NCFNetwork, alpha: float) -> None:
    """Start NeuMF from its two halves, trained alone: h = [α h_GMF ; (1 − α) h_MLP] (section 3.4.1 of the paper).

    With α = .5 NeuMF's logit is at first the mean of theirs.

    Args:
        gmf, mlp: trained.
        joined: of the same widths; its weights are overwritten.
        alpha: share of GMF, in (0, 1).
    """
    for name in ("gmf_users", "gmf_items"):
        getattr(joined, name).copy_(getattr(gmf, name))
    for name in ("mlp_users", "mlp_items"):
        getattr(joined, name).copy_(getattr(mlp, name))
    joined.tower.load_state_dict(mlp.tower.state_dict())
    joined.head.weight.copy_(torch.cat([alpha * gmf.head.weight, (1 - alpha) * mlp.head.weight], dim=1))
    joined.head.bias.copy_(alpha * gmf.head.bias + (1 - alpha) * mlp.head.bias)
