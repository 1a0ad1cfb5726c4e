from __future__ import annotations

import torch

from shortlist.losses.tiles import ItemTiles, item_by_item


def test_tiles_side_by_side_are_the_logits() -> None:
    torch.manual_seed(0)
    query, items, bias, shift = torch.randn(4, 3), torch.randn(10, 3), torch.randn(10), torch.randn(4)
    forbidden = torch.tensor([39, 0, 12, 12, 9])
    wanted = query @ items.T + bias - shift[:, None]
    wanted.view(-1)[forbidden] = -torch.inf
    tiles = ItemTiles(query, items, bias, item_by_item(forbidden, 4, 10), width=3)
    made = torch.cat([logits.clone() for _, logits in tiles.minus(shift)], dim=1)
    torch.testing.assert_close(made, wanted, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(tiles.log_sum_exp(), (wanted + shift[:, None]).logsumexp(1), rtol=1e-6, atol=1e-6)


def test_forbids() -> None:
    tiles = ItemTiles(torch.ones(2, 1), torch.ones(5, 1), torch.zeros(5), item_by_item(torch.tensor([9, 3]), 2, 5))
    rows, columns = torch.tensor([0, 0, 1, 1]), torch.tensor([3, 4, 3, 4])
    assert tiles.forbids(rows, columns).tolist() == [True, False, False, True]
    assert not ItemTiles(torch.ones(2, 1), torch.ones(5, 1), torch.zeros(5)).forbids(rows, columns).any()


def test_all_forbidden_is_finite_and_has_probability_nowhere() -> None:
    tiles = ItemTiles(torch.ones(1, 1), torch.ones(5, 1), torch.zeros(5), item_by_item(torch.arange(5), 1, 5), width=2)
    normaliser = tiles.log_sum_exp()
    assert torch.isfinite(normaliser).all()
    assert [logits.exp().sum().item() for _, logits in tiles.minus(normaliser)] == [0, 0, 0]
