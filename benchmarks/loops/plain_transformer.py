"""A plain PyTorch loop: what one would write in an afternoon. Run by ``benchmarks.training_speed``; prints JSON.

SASRec's network from PyTorch's own layers (norms first, learned positions), the last 200 items of each user padded to the
longest of a batch of 128, ``F.cross_entropy`` over the whole corpus at every position, fused AdamW.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

LENGTH, BATCH = 200, 128


class Transformer(nn.Module):
    def __init__(self, num_items: int, dim: int) -> None:
        super().__init__()
        self.items = nn.Embedding(num_items + 1, dim, padding_idx=0)
        self.places = nn.Embedding(LENGTH, dim)
        layer = nn.TransformerEncoderLayer(dim, 1, 4 * dim, dropout=0.2, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm, self.dropout = nn.LayerNorm(dim), nn.Dropout(0.2)

    def forward(self, items: Tensor) -> Tensor:
        length = items.shape[1]
        x = self.dropout(self.items(items) + self.places.weight[:length])
        mask = nn.Transformer.generate_square_subsequent_mask(length)
        return self.norm(self.layers(x, mask=mask, is_causal=True)) @ self.items.weight.T


def main() -> None:
    data, dim, batches = np.load(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    rows = [
        torch.from_numpy(row[-LENGTH - 1 :] + 1)
        for row in np.split(data["values"].astype(np.int64), data["offsets"][1:-1])
    ]
    rows = [row for row in rows if len(row) > 1]
    torch.manual_seed(0)
    model = Transformer(int(data["num_items"]), dim)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    order, targets, seconds = torch.randperm(len(rows)).tolist(), 0, 0.0
    for number in range(min(batches + 1, -(-len(order) // BATCH))):
        started = time.perf_counter()
        chosen = [rows[i] for i in order[number * BATCH : (number + 1) * BATCH]]
        padded = nn.utils.rnn.pad_sequence(chosen, batch_first=True)
        logits = model(padded[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), padded[:, 1:].flatten(), ignore_index=0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if number:  # the first warms up
            targets, seconds = targets + int((padded[:, 1:] > 0).sum()), seconds + time.perf_counter() - started
    whole = sum(len(row) - 1 for row in rows)
    print(json.dumps({"targets": whole, "seconds": seconds / targets * whole}))


if __name__ == "__main__":
    main()
