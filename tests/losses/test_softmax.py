from __future__ import annotations

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from shortlist.losses import full_softmax, softmax, tiles

ROADS = {"some queries, all items": 10**12, "all queries, some items": 0}


@pytest.fixture(params=[*ROADS, "some queries, all items, targets put into the tile"])
def wide(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(softmax, "_GATHERED", 10**9 if "targets" in request.param else 0)
    monkeypatch.setattr(tiles, "TILE_ON_CPU", 1)
    monkeypatch.setattr(tiles, "QUERY_TILE_ON_CPU", 1)
    monkeypatch.setattr(tiles, "NARROWEST", 2)  # 7 items and 3 queries: whole tiles and a rest
    return ROADS.get(request.param, 10**12)


def plain(query, items, bias, rows, columns, weights, forbidden, *, example_weights=None):  # type: ignore[no-untyped-def]
    logits = query @ items.T + bias
    if forbidden is not None:
        mask = torch.zeros(logits.numel(), dtype=torch.bool)
        mask[forbidden] = True
        logits = logits.masked_fill(mask.view_as(logits), -torch.inf)
    target = torch.zeros_like(logits)
    target[rows, columns] = weights
    log_p = torch.log_softmax(logits, dim=1)
    loss = -(torch.where(target > 0, target * log_p, 0.0)).sum(dim=1)
    return loss.mean() if example_weights is None else (loss * example_weights).sum() / example_weights.sum()


@pytest.mark.parametrize("with_forbidden", [False, True])
@pytest.mark.parametrize("with_weights", [False, True])
def test_loss_and_gradients_equal_the_plain_ones(wide: int, with_forbidden: bool, with_weights: bool) -> None:
    torch.manual_seed(0)
    made = [torch.randn(3, 4), torch.randn(7, 4), torch.randn(7)]
    rows, columns = torch.tensor([0, 0, 1, 2]), torch.tensor([1, 5, 2, 6])
    weights = torch.tensor([0.25, 0.75, 1.0, 1.0])
    forbidden = torch.tensor([14 + 1, 0, 2, 7 + 3, 14 + 0, 2]) if with_forbidden else None  # unsorted, one twice
    examples = torch.tensor([2.0, 0.0, 0.5]) if with_weights else None
    results = []
    for function, options in (
        (full_softmax, {"wide": wide, "weights": examples}),
        (plain, {"example_weights": examples}),
    ):
        leaves = [tensor.clone().requires_grad_() for tensor in made]
        loss = function(*leaves, rows, columns, weights, forbidden, **options)
        (3 * loss).backward()
        results.append((loss, [leaf.grad for leaf in leaves]))
    (loss, gradients), (expected, expected_gradients) = results
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    for gradient, wanted in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, wanted, rtol=1e-5, atol=1e-6)


def test_gradients_by_finite_differences() -> None:
    torch.manual_seed(0)
    made = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in ((3, 2), (7, 2), (7,))]
    targets = torch.tensor([0, 1, 1, 2]), torch.tensor([6, 0, 4, 2]), torch.tensor([1.0, 0.5, 0.5, 1.0]).double()
    forbidden = torch.tensor([7 + 1, 14, 3])

    def loss(*leaves: torch.Tensor, wide: int) -> torch.Tensor:
        return full_softmax(*leaves, *targets, forbidden, weights=torch.tensor([1.0, 2.0, 3.0]).double(), wide=wide)

    for road in ROADS.values():
        assert torch.autograd.gradcheck(partial(loss, wide=road), made)
    of_roads = [torch.autograd.grad(loss(*made, wide=road), made) for road in ROADS.values()]
    torch.testing.assert_close(*of_roads, rtol=1e-12, atol=1e-14)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_two_roads_one_answer(data: st.DataObject) -> None:
    num_queries, num_items = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 300))
    torch.manual_seed(data.draw(st.integers(0, 9)))
    made = [torch.randn(num_queries, 3), torch.randn(num_items, 3), 10 * torch.randn(num_items)]
    targets = torch.arange(num_queries), torch.randint(num_items, (num_queries,)), torch.ones(num_queries)
    share = data.draw(st.sampled_from([0.0, 0.5, 1.0]))  # all but the target forbidden: certainty, loss 0
    mask = torch.rand(num_queries, num_items) < share
    mask[targets[:2]] = False
    results = []
    for road in ROADS.values():
        leaves = [tensor.clone().requires_grad_() for tensor in made]
        loss = full_softmax(*leaves, *targets, mask.view(-1).nonzero()[:, 0], wide=road)
        loss.backward()
        results.append([loss, *(leaf.grad for leaf in leaves)])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=2e-5)  # logits reach 40, in single precision


@pytest.mark.parametrize("wide", ROADS.values())
def test_tiles_never_hold_all_logits(monkeypatch: pytest.MonkeyPatch, wide: int) -> None:
    monkeypatch.setattr(tiles, "TILE_ON_CPU", 2**14)
    monkeypatch.setattr(tiles, "QUERY_TILE_ON_CPU", 2**14)
    monkeypatch.setattr(tiles, "NARROWEST", 3)

    class Largest(TorchDispatchMode):
        numel = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            out = func(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor):
                self.numel = max(self.numel, out.untyped_storage().nbytes() // 4)
            return out

    made = [torch.randn(shape, requires_grad=True) for shape in ((64, 4), (5000, 4), (5000,))]
    with Largest() as largest:
        targets = torch.arange(64), torch.arange(64), torch.ones(64)
        full_softmax(*made, *targets, torch.arange(64, 5000), wide=wide).backward()
    assert largest.numel == 5000 * 4  # the items' gradient; all logits would be 64 · 5000


def test_targets_apart_stand_beside_a_normaliser_without_them(wide: int) -> None:
    torch.manual_seed(0)
    made = [torch.randn(3, 4), torch.randn(7, 4), torch.randn(7)]
    rows, columns = torch.tensor([0, 0, 1, 2]), torch.tensor([1, 5, 2, 6])
    weights = torch.tensor([0.25, 0.75, 1.0, 1.0])
    forbidden = torch.cat([rows * 7 + columns, torch.tensor([14, 3])])
    results = []
    for apart in (True, False):
        leaves = [tensor.clone().requires_grad_() for tensor in made]
        if apart:
            loss = full_softmax(*leaves, rows, columns, weights, forbidden, targets_apart=True, wide=wide)
        else:
            logits = leaves[0] @ leaves[1].T + leaves[2]
            normaliser = logits.reshape(-1).index_fill(0, forbidden, -torch.inf).view(3, 7).logsumexp(dim=1)
            loss = (weights * (normaliser[rows] - logits[rows, columns])).sum() / 3
        loss.backward()
        results.append([loss, *(leaf.grad for leaf in leaves)])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_a_second_backward_gives_the_same(wide: int) -> None:
    query = torch.ones(1, 2, requires_grad=True)
    target = torch.tensor([0]), torch.tensor([1]), torch.tensor([1.0])
    loss = full_softmax(query, torch.eye(2), torch.zeros(2), *target, wide=wide)
    gradients = [torch.autograd.grad(loss, query, retain_graph=True)[0] for _ in range(2)]
    torch.testing.assert_close(*gradients)
    assert gradients[0].tolist() == [[0.5, -0.5]]


def test_extreme_logits_stay_finite(wide: int) -> None:
    query = torch.tensor([[1e4, 0.0]], requires_grad=True)
    target = torch.tensor([0]), torch.tensor([1]), torch.tensor([1.0])
    loss = full_softmax(query, torch.eye(2), torch.zeros(2), *target, wide=wide)
    loss.backward()
    assert loss.item() == pytest.approx(1e4)
    assert query.grad is not None
    assert torch.isfinite(query.grad).all()


def test_a_forbidden_target_is_infinitely_bad_on_both_roads(wide: int) -> None:
    target = torch.tensor([0, 1]), torch.tensor([4, 1]), torch.ones(2)
    loss = full_softmax(torch.ones(2, 2), torch.ones(7, 2), torch.zeros(7), *target, torch.tensor([4]), wide=wide)
    assert loss.item() == torch.inf


def test_no_gradient_no_buffers_kept(wide: int) -> None:
    with torch.no_grad():
        target = torch.tensor([0]), torch.tensor([1]), torch.ones(1)
        loss = full_softmax(torch.ones(1, 2), torch.ones(7, 2), torch.zeros(7), *target, wide=wide)
    assert not loss.requires_grad
