from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from shortlist.encoders.dropout import ByteDropout
from shortlist.encoders.transformer import CausalTransformer, _turned

Positions = Literal["learned", "rotary"]


@pytest.fixture(params=get_args(Positions))
def encoder(request: pytest.FixtureRequest) -> CausalTransformer:
    torch.manual_seed(0)
    return CausalTransformer(dim=8, blocks=2, heads=2, max_length=12, positions=request.param).eval()


def test_a_later_item_does_not_change_an_earlier_state(encoder: CausalTransformer) -> None:
    history = torch.randn(3, 9, 8)
    changed = history.clone()
    changed[:, 5] = torch.randn(3, 8)
    before, after = encoder(history), encoder(changed)
    torch.testing.assert_close(before[:, :5], after[:, :5])
    assert ((before[:, 5:] - after[:, 5:]).abs().amax(dim=2) > 1e-4).all()  # and every later state knows it


def test_order_matters(encoder: CausalTransformer) -> None:
    history = torch.randn(1, 6, 8)
    swapped = history[:, [1, 0, 2, 3, 4, 5]]
    assert not torch.allclose(encoder(history)[:, -1], encoder(swapped)[:, -1], atol=1e-4)


def test_padding_does_not_matter(encoder: CausalTransformer) -> None:
    history, length = torch.randn(3, 9, 8), torch.tensor([4, 9, 1])
    history[0, 4:] = 100.0
    together = encoder.last(history, length)
    for row, n in enumerate(length.tolist()):
        alone = history[row : row + 1, :n]
        torch.testing.assert_close(together[row], encoder(alone)[0, -1])
        torch.testing.assert_close(together[row], encoder.last(alone, length[row : row + 1])[0])


def test_an_empty_history_is_zero(encoder: CausalTransformer) -> None:
    out = encoder.last(torch.randn(2, 3, 8), torch.tensor([0, 3]))
    assert not out[0].any()
    assert out[1].any()


def test_attention_by_hand() -> None:
    """One head, one block whose hidden layer adds nothing: the formula, term by term."""
    torch.manual_seed(0)
    encoder = CausalTransformer(dim=4, blocks=1).eval()
    block: Any = encoder.blocks[0]
    nn.init.zeros_(block.narrow.weight)
    x = torch.randn(1, 5, 4)
    q, k, v = block.project(block.norm_attention(x))[0].chunk(3, dim=1)
    rows = []
    for t in range(5):
        scores = torch.stack([_rotated(q[t], t) @ _rotated(k[s], s) / 2 for s in range(t + 1)])
        rows.append(torch.softmax(scores, dim=0) @ v[: t + 1])
    torch.testing.assert_close(encoder(x)[0], encoder.norm(x[0] + block.merge(torch.stack(rows))))


def _rotated(x: Tensor, place: int) -> Tensor:
    """[4], as complex numbers: pairs (0, 2) and (1, 3), turning by 1 and by 1/100 a place."""
    pairs = torch.complex(x[:2], x[2:]) * torch.exp(1j * place * torch.tensor([1.0, 0.01]))
    return torch.cat([pairs.real, pairs.imag])


def test_rotary_positions_know_distances_only() -> None:
    q, k = torch.randn(6), torch.randn(6)
    frequency = CausalTransformer(dim=6).frequency

    def score(t: int, s: int) -> Tensor:
        turned = [_turned(x, (place * frequency).cos(), (place * frequency).sin()) for x, place in ((q, t), (k, s))]
        return turned[0] @ turned[1]

    torch.testing.assert_close(score(7, 3), score(107, 103), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(score(5, 5), q @ k)
    assert abs(score(7, 3) - score(7, 4)) > 1e-3


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="heads"):
        CausalTransformer(dim=6, heads=4, positions="learned")
    with pytest.raises(ValueError, match="even"):
        CausalTransformer(dim=6, heads=2)
    CausalTransformer(dim=6, heads=2, positions="learned")


def test_training_reaches_every_parameter(encoder: CausalTransformer) -> None:
    torch.manual_seed(0)
    encoder.train()
    (encoder(torch.randn(2, 12, 8)) ** 3).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in encoder.parameters())


def test_dropout_keeps_the_expectation() -> None:
    torch.manual_seed(0)
    x = torch.ones(1001, 99)
    dropout = ByteDropout(0.2)
    out = dropout(x)
    assert (out == 0).float().mean() == pytest.approx(0.2, abs=0.01)
    assert out.mean() == pytest.approx(1, abs=0.01)
    assert ByteDropout(0)(x) is x
    assert dropout.eval()(x) is x
    torch.manual_seed(0)
    assert (dropout.train()(x) == out).all()  # the seed settles it


class _Served(nn.Module):
    """As a model would use it: items in, their vectors, the newest state."""

    def __init__(self, encoder: CausalTransformer) -> None:
        super().__init__()
        self.encoder, self.table = encoder, nn.Parameter(torch.randn(21, 8))

    def forward(self, items: Tensor) -> Tensor:
        return self.encoder.last(nn.functional.embedding(items, self.table), (items > 0).sum(dim=1))


def test_onnx_answers_as_torch(encoder: CausalTransformer, tmp_path: Path) -> None:
    model, path = _Served(encoder).eval(), str(tmp_path / "encoder.onnx")
    sizes = {0: torch.export.Dim("batch", min=1), 1: torch.export.Dim("length", min=1)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (torch.tensor([[1, 2, 3], [4, 0, 0]]),),
            path,
            dynamo=True,
            dynamic_shapes=(sizes,),
            input_names=["items"],
            external_data=False,
            verbose=False,
        )
    session = onnxruntime.InferenceSession(path)
    rng = np.random.default_rng(0)
    for lengths in ([1], [0], [7], [12, 3, 0, 1], [2, 2], [0, 0]):
        width = max(1, *lengths) if len(lengths) > 1 else max(1, lengths[0])
        items = rng.integers(1, 21, (len(lengths), width))
        items[np.arange(width) >= np.array(lengths)[:, None]] = 0
        expected = model(torch.from_numpy(items)).detach().numpy()
        (answer,) = session.run(None, {"items": items})
        np.testing.assert_allclose(answer, expected, atol=1e-4)
        assert np.isfinite(answer).all()
