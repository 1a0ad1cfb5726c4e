"""The gradient by hand equals autograd's of the plain module."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from shortlist.losses import binary_cross_entropy
from shortlist.models.ncf_network import NCFNetwork
from shortlist.settings import NCFSettings
from shortlist.training import ncf_gradient
from shortlist.training.ncf_gradient import logistic_loss

USERS, ITEMS, NEGATIVES = 30, 25, 4


@pytest.mark.parametrize("model", ["gmf", "mlp", "neumf"])
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("positives", [3, 200])  # fewer look-ups than rows of the tables, and more
@pytest.mark.parametrize("at_once", [7, 2048])
def test_equals_the_plain_module(
    model: str, layers: int, positives: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ncf_gradient, "_SAMPLES_AT_ONCE", at_once)
    torch.manual_seed(0)
    network = NCFNetwork(USERS, ITEMS, NCFSettings(model=model, embedding_dim=8, tower_layers=layers))  # type: ignore[arg-type]
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, 0, 0.5)
    rng = np.random.default_rng(1)
    users, items = rng.integers(USERS, size=positives), rng.integers(ITEMS, size=(positives, 1 + NEGATIVES))

    used = [one for one in network.parameters() if one.numel()]
    flat = torch.from_numpy(users).repeat_interleave(1 + NEGATIVES), torch.from_numpy(items).ravel()
    logits = network(*flat).view(positives, -1)
    plain = binary_cross_entropy(logits[:, 0], logits[:, 1:])
    expected = torch.autograd.grad(plain + 0.15 * network.squared_lengths(*flat).mean(), used)

    fast = logistic_loss(network, users, items, regularization=0.3)
    found = torch.autograd.grad(3 * fast, used)
    assert fast.item() == pytest.approx(plain.item(), abs=1e-5)
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, 3 * theirs, rtol=1e-5, atol=1e-5)
