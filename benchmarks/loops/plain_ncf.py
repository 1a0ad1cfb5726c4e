"""NeuMF as one would write it in an afternoon. Run by ``benchmarks.ncf_speed``; prints JSON.

Four tables of ``nn.Embedding``, PyTorch's own layers, negatives by ``torch.randint`` (those the user has are not even taken out),
``F.binary_cross_entropy_with_logits`` and fused Adam, 8,192 samples a batch.

    python plain_ncf.py DATA.npz DIM BATCHES
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

BATCH, NEGATIVES = 8192, 4


class NeuMF(nn.Module):
    def __init__(self, num_users: int, num_items: int, dim: int) -> None:
        super().__init__()
        self.gmf_users, self.gmf_items = nn.Embedding(num_users, dim), nn.Embedding(num_items, dim)
        self.mlp_users, self.mlp_items = nn.Embedding(num_users, 2 * dim), nn.Embedding(num_items, 2 * dim)
        self.tower = nn.Sequential(nn.Linear(4 * dim, 2 * dim), nn.ReLU(), nn.Linear(2 * dim, dim), nn.ReLU())
        self.head = nn.Linear(2 * dim, 1)

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        product = self.gmf_users(users) * self.gmf_items(items)
        hidden = self.tower(torch.cat([self.mlp_users(users), self.mlp_items(items)], dim=1))
        return self.head(torch.cat([product, hidden], dim=1))[:, 0]


def main() -> None:
    data, dim, batches = np.load(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    num_users, num_items = len(data["offsets"]) - 1, int(data["num_items"])
    torch.manual_seed(0)
    users = torch.from_numpy(np.repeat(np.arange(num_users), np.diff(data["offsets"])))
    items = torch.from_numpy(data["values"].astype(np.int64))
    model = NeuMF(num_users, num_items, dim)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    order = torch.randperm(len(users))
    positives, done, seconds = BATCH // (1 + NEGATIVES), 0, 0.0
    for number in range(min(batches + 1, len(order) // positives)):
        started = time.perf_counter()
        chosen = order[number * positives : (number + 1) * positives]
        drawn = torch.randint(num_items, (len(chosen), NEGATIVES))
        labels = torch.zeros(len(chosen), 1 + NEGATIVES)
        labels[:, 0] = 1
        asked = torch.cat([items[chosen, None], drawn], dim=1).ravel()
        logits = model(users[chosen].repeat_interleave(1 + NEGATIVES), asked)
        loss = F.binary_cross_entropy_with_logits(logits, labels.ravel())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if number:  # the first warms up
            done, seconds = done + len(chosen), seconds + time.perf_counter() - started
    print(json.dumps({"targets": len(users), "seconds": seconds / done * len(users)}))


if __name__ == "__main__":
    main()
