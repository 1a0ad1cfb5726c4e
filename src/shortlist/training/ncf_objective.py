"""Where a ranker of ids, its negatives and its loss meet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shortlist.data.interactions import Interactions
from shortlist.data.ragged import Ragged
from shortlist.losses import binary_cross_entropy
from shortlist.models.ncf_network import NCFNetwork
from shortlist.negatives import Unobserved
from shortlist.training.ncf_gradient import logistic_loss


@dataclass(frozen=True, eq=False)
class LabelledPairs:
    """P positives, each with S negatives of the same user.

    Args:
        user_idx: [P].
        item_idx: [P, 1 + S], the positive first.
    """

    user_idx: NDArray[np.int64]
    item_idx: NDArray[np.int64]

    @property
    def targets(self) -> Ragged:
        """The positives, one a row."""
        return Ragged(self.item_idx[:, 0], np.arange(len(self) + 1))

    def __len__(self) -> int:
        return len(self.user_idx)


class NCFObjective:
    """Logistic loss of every positive and of negatives drawn anew each time, uniformly from what its user has not.

    Args:
        network: gives the logits.
        train: its likes are the positives; what a user has taken, liked or not, is no negative of theirs.
        num_negatives: S, of each positive.
        regularization: λ of the squared lengths of each sample's vectors; see ``logistic_loss``.
    """

    def __init__(
        self, network: NCFNetwork, train: Interactions, num_negatives: int, regularization: float = 0.0
    ) -> None:
        self.network, self.num_negatives, self.regularization = network, num_negatives, regularization
        self.in_pieces = network.head.weight.device.type == "cpu"
        own = Ragged.from_row_of_value(train.item_idx, train.user_idx, train.num_users)
        self.sampler = Unobserved(own, network.num_items)
        # who has everything has no negative
        positives = np.flatnonzero(train.liked & self.sampler.has_some[train.user_idx])
        self.users = train.user_idx[positives].astype(np.int64)
        self.items = train.item_idx[positives].astype(np.int64)

    def __len__(self) -> int:
        """Positives of an epoch."""
        return len(self.users)

    def epoch(self, batch_size: int, rng: np.random.Generator) -> Iterator[LabelledPairs]:
        """All positives once, in random order; within a batch by user, which is how they lie in memory."""
        order = rng.permutation(len(self))
        for begin in range(0, len(order), batch_size):
            chosen = np.sort(order[begin : begin + batch_size])
            users = self.users[chosen]
            negatives = self.sampler.of_rows(users, self.num_negatives, rng).item_idx
            yield LabelledPairs(users, np.concatenate([self.items[chosen, None], negatives], axis=1))

    def mass(self, batch: LabelledPairs) -> float:
        """What a batch weighs in a mean over several."""
        return float(len(batch))

    def loss(self, batch: LabelledPairs) -> Tensor:
        """Mean loss of one batch, a scalar."""
        network = self.network
        if network.head.weight.device.type == "cpu":
            return logistic_loss(network, batch.user_idx, batch.item_idx, self.regularization)
        device, shape = network.head.weight.device, batch.item_idx.shape
        users = torch.from_numpy(np.repeat(batch.user_idx, shape[1])).to(device)
        items = torch.from_numpy(batch.item_idx.ravel()).to(device)
        logits = network(users, items).view(shape)
        loss = binary_cross_entropy(logits[:, 0], logits[:, 1:])
        if not self.regularization:
            return loss
        pull = 0.5 * self.regularization * network.squared_lengths(users, items).mean()
        return loss + pull - pull.detach()  # the number stays the loss of the labels
