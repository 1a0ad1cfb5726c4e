"""Hidden layers."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from shortlist.encoders.dropout import ByteDropout


def mlp(input_dim: int, hidden_dims: Sequence[int], output_dim: int, dropout: float = 0.0) -> nn.Sequential:
    """Linear layers with ReLU between them; the last is linear.

    >>> [type(layer).__name__ for layer in mlp(3, [4], 2)]
    ['Linear', 'ReLU', 'Linear']
    """
    layers: list[nn.Module] = []
    width = input_dim
    for hidden_dim in hidden_dims:
        layers += [nn.Linear(width, hidden_dim), nn.ReLU()]
        if dropout > 0:
            layers.append(ByteDropout(dropout))
        width = hidden_dim
    return nn.Sequential(*layers, nn.Linear(width, output_dim))
