"""Loss and gradient of NCF by hand: the same numbers as autograd's of ``NCFNetwork.forward``, in a fraction of the time.

A plain step gathers two wide rows a sample, multiplies each pair by the first layer, and scatters two wide gradients. Here a
positive and its negatives share their user, and W_1 [m_u ; n_i] = W_u m_u + W_i n_i: the first layer is computed once a user
and once an item of the batch, and its gradient likewise. What is left a sample is a sum of two rows and the second layer.
Samples pass in tiles that stay in a core's cache: products by BLAS, the rest by the loops of ``ncf_kernels``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shortlist.models.ncf_network import NCFNetwork
from shortlist.training import ncf_kernels

_SAMPLES_AT_ONCE = 2048  # 1 MB where the first layer is 128 wide


def logistic_loss(
    network: NCFNetwork, user_idx: NDArray[np.int64], item_idx: NDArray[np.int64], regularization: float = 0.0
) -> Tensor:
    """Mean logistic loss of the samples, a scalar that knows its gradient.

    With regularization λ each sample costs λ / 2 times the squared lengths of its vectors more, in the gradient alone: the
    number that is returned stays the loss of the labels.

    Args:
        network: on the CPU.
        user_idx: [P] of the positives.
        item_idx: [P, 1 + S] each positive's item, then its negatives.
    """
    loss: Tensor = _LogisticLoss.apply(network, user_idx, item_idx, regularization, *network.parameters())  # type: ignore[no-untyped-call]
    return loss


class _LogisticLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, network: NCFNetwork, user_idx: Any, item_idx: Any, regularization: float, *_: Tensor
    ) -> Tensor:
        loss, gradients = loss_and_gradients(network, user_idx, item_idx)
        if regularization:
            _add_pull(network, user_idx, item_idx, regularization, gradients)
        ctx.gradients = [gradients[name] for name, _ in network.named_parameters()]
        return torch.tensor(loss)

    @staticmethod
    def backward(ctx: Any, *above: Any) -> Any:
        for gradient in ctx.gradients:
            gradient.mul_(above[0])
        return None, None, None, None, *ctx.gradients


def loss_and_gradients(
    network: NCFNetwork, user_idx: NDArray[np.int64], item_idx: NDArray[np.int64]
) -> tuple[float, dict[str, Tensor]]:
    """See ``logistic_loss``; the gradients by the names of the parameters."""
    weights = {name: one.detach() for name, one in network.named_parameters()}
    gradients = {name: torch.zeros_like(one) for name, one in weights.items()}
    with torch.no_grad():
        first = _FirstLayer(network, weights, user_idx, item_idx) if network.tower else None
        factors, scale, loss = network.factors, np.float32(1 / item_idx.size), 0.0
        last = len(network.tower)
        head_weight, head_gradient = (one["head.weight"].numpy()[0] for one in (weights, gradients))
        size = max(1, _SAMPLES_AT_ONCE // item_idx.shape[1])
        for start in range(0, len(user_idx), size):
            user, item = user_idx[start : start + size], item_idx[start : start + size]
            layers = [] if first is None else [first.hidden(start, item.size)]  # [S, H] after each ReLU
            for number in range(1, last):
                below = layers[-1]
                above = torch.addmm(weights[f"tower.{number}.bias"], below, weights[f"tower.{number}.weight"].T)
                layers.append(above.relu_() if number < last - 1 else above)  # the head takes the last before its ReLU
            top = layers[-1] if layers else torch.empty(item.size, 0)
            top = top.clone() if last == 1 else top  # it is overwritten, and the only layer's sign is wanted once more
            loss += ncf_kernels.head(
                user,
                item,
                weights["gmf_users"].numpy(),
                weights["gmf_items"].numpy(),
                head_weight[:factors],
                top.numpy(),
                head_weight[factors:],
                weights["head.bias"].numpy(),
                scale,
                gradients["gmf_users"].numpy(),
                gradients["gmf_items"].numpy(),
                head_gradient[:factors],
                head_gradient[factors:],
                gradients["head.bias"].numpy(),
            )
            gradient = top
            for number in range(last - 1, 0, -1):
                below = layers[number - 1]
                gradients[f"tower.{number}.weight"].addmm_(gradient.T, below)
                gradients[f"tower.{number}.bias"] += gradient.sum(dim=0)
                gradient = gradient @ weights[f"tower.{number}.weight"]
                if number > 1:
                    gradient.mul_(below > 0)
            if first is not None:
                first.add_gradient(start, layers[0], gradient)
        if first is not None:
            first.pass_down(gradients)
    return loss, gradients


def _add_pull(
    network: NCFNetwork,
    user_idx: NDArray[np.int64],
    item_idx: NDArray[np.int64],
    regularization: float,
    gradients: dict[str, Tensor],
) -> None:
    """λ v for every sample that v stands in: as often as a row is looked up."""
    share = regularization / item_idx.size
    users = np.bincount(user_idx, minlength=network.num_users) * (share * item_idx.shape[1])
    items = np.bincount(item_idx.ravel(), minlength=network.num_items) * share
    for name, table in network.named_parameters():
        if name.startswith(("gmf_", "mlp_")):
            pull = torch.from_numpy((users if name.endswith("users") else items).astype(np.float32))
            gradients[name].addcmul_(pull[:, None], table.detach())


class _FirstLayer:
    """W_u m_u + b of the users and W_i n_i of the items of a batch, and what the loss gains by them."""

    def __init__(
        self,
        network: NCFNetwork,
        weights: dict[str, Tensor],
        user_idx: NDArray[np.int64],
        item_idx: NDArray[np.int64],
    ) -> None:
        self.weight, self.width = weights["tower.0.weight"], network.mlp_users.shape[1]
        self.user_rows, self.users = _rows(user_idx, network.num_users)
        self.item_rows, self.items = _rows(item_idx, network.num_items)
        self.user_vectors = _take(weights["mlp_users"], self.user_rows)
        self.item_vectors = _take(weights["mlp_items"], self.item_rows)
        self.user_part = torch.addmm(weights["tower.0.bias"], self.user_vectors, self.weight[:, : self.width].T)
        self.item_part = self.item_vectors @ self.weight[:, self.width :].T
        self.user_gradient, self.item_gradient = torch.zeros_like(self.user_part), torch.zeros_like(self.item_part)
        self.num_items = item_idx.shape[1]

    def _tile(self, start: int, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        rows = slice(start, start + size // self.num_items)
        return self.users[rows], self.items[rows]

    def hidden(self, start: int, size: int) -> Tensor:
        out = torch.empty(size, self.user_part.shape[1])
        ncf_kernels.add_parts(*self._tile(start, size), self.user_part.numpy(), self.item_part.numpy(), out.numpy())
        return out

    def add_gradient(self, start: int, hidden: Tensor, gradient: Tensor) -> None:
        ncf_kernels.add_parts_gradient(
            *self._tile(start, len(hidden)),
            hidden.numpy(),
            gradient.numpy(),
            self.user_gradient.numpy(),
            self.item_gradient.numpy(),
        )

    def pass_down(self, gradients: dict[str, Tensor]) -> None:
        weight, width = gradients["tower.0.weight"], self.width
        gradients["tower.0.bias"] += self.user_gradient.sum(dim=0)
        weight[:, :width] = self.user_gradient.T @ self.user_vectors
        weight[:, width:] = self.item_gradient.T @ self.item_vectors
        _put(gradients["mlp_users"], self.user_rows, self.user_gradient @ self.weight[:, :width])
        _put(gradients["mlp_items"], self.item_rows, self.item_gradient @ self.weight[:, width:])


def _rows(idx: NDArray[np.int64], size: int) -> tuple[Tensor | None, NDArray[np.int64]]:
    """The different rows of a table that are looked up, and where among them each look-up finds its own; None: all."""
    if idx.size >= size:
        return None, idx
    rows, place = np.unique(idx, return_inverse=True)
    return torch.from_numpy(rows), place.reshape(idx.shape)


def _take(table: Tensor, rows: Tensor | None) -> Tensor:
    return table if rows is None else table[rows]


def _put(table: Tensor, rows: Tensor | None, values: Tensor) -> None:
    if rows is None:
        table.copy_(values)
    else:
        table[rows] = values
