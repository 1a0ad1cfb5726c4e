from __future__ import annotations

import numpy as np
import pytest
import torch

from shortlist.data.dataset import Dataset
from shortlist.encoders import history as histories
from shortlist.encoders import item_embedding
from shortlist.encoders.feature_encoder import FeatureEncoder
from shortlist.encoders.history import AttentionHistory, MeanHistory, RecencyHistory
from shortlist.encoders.item_embedding import ItemEmbedding
from shortlist.encoders.query_network import QueryNetwork
from shortlist.settings import SoftmaxDNNSettings


def test_items_of_one_kind_share_a_vector(world: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dense and sparse product: two roads, one answer, with equal gradients."""
    specs, features = world.schema.side("item"), world.item_features
    results = []
    for cells in (10**9, 0):
        monkeypatch.setattr(item_embedding, "_DENSE_CELLS", cells)
        monkeypatch.setattr(item_embedding, "_DENSE_TIMES", cells)
        torch.manual_seed(0)
        embedding = ItemEmbedding(world.num_items, 4, specs, features)
        vectors = embedding()
        (vectors**2).sum().backward()
        results.append((vectors.detach(), embedding.values.grad))
    torch.testing.assert_close(results[0], results[1])
    shared = results[0][0] - embedding.free.detach()
    tags, size = features["tags"].codes, features["size"].values  # type: ignore[union-attr]
    code = tags.row(5)[0]
    expected = embedding.values[code] + size[5] * embedding.values[specs[0].num_codes]
    torch.testing.assert_close(shared[5], expected.detach())


def test_history_is_the_mean_of_the_window() -> None:
    table = torch.randn(6, 3)
    table[0] = float("nan")  # the padding row is never read into a result ...
    table[0] = 7.0  # ... whatever stands there
    items = torch.tensor([[1, 2, 3, 4], [5, 5, 0, 0], [0, 0, 0, 0]])
    out = MeanHistory((2, 1, 10))(items, table)
    root = np.sqrt
    torch.testing.assert_close(out[0, 0], (table[3] + table[4]) / root(2))
    torch.testing.assert_close(out[0, 1], table[4])
    torch.testing.assert_close(out[0, 2], table[1:5].sum(0) / 2)
    torch.testing.assert_close(out[1, 2], 2 * table[5] / root(2))
    assert not out[2].any()


@pytest.mark.parametrize("exponent", [0.0, 0.25, 1.0])
def test_how_loud_a_long_history_speaks(exponent: float) -> None:
    out = MeanHistory((16,), exponent=exponent)(torch.ones(1, 16, dtype=torch.int64), torch.tensor([[9.0], [2.0]]))
    assert out.item() == pytest.approx(2 * 16 / 16**exponent)


@pytest.mark.parametrize("kind", [MeanHistory, RecencyHistory])
def test_gathered_vectors_and_one_product_give_the_same(
    kind: type[MeanHistory], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long histories are multiplied with the whole table: two roads, one answer, with equal gradients."""
    items = torch.tensor([[1, 4, 4, 2, 3], [5, 1, 0, 0, 0], [0, 0, 0, 0, 0]])
    results = []
    for gathered in (0, 10**9):
        monkeypatch.setattr(histories, "_GATHERED", gathered)
        torch.manual_seed(0)
        encoder, table = kind((10, 2), exponent=0.7), torch.randn(6, 3, requires_grad=True)
        out = encoder(items, table)
        (out * torch.randn_like(out)).sum().backward()
        results.append([out.detach(), table.grad, *(one.grad for one in encoder.parameters())])
    torch.testing.assert_close(results[0], results[1])
    assert results[0][0][0].abs().sum() > 0


def test_dropout_spares_the_last_item_and_serving() -> None:
    history, table = MeanHistory((3, 1), item_dropout=0.9), torch.randn(5, 2)
    items = torch.tensor([[1, 2, 3]]).repeat(200, 1)
    history.train()
    out = history(items, table)
    torch.testing.assert_close(out[:, 1], table[3].expand(200, 2))
    assert out[:, 0].std(dim=0).min() > 0
    history.eval()
    assert (history(items, table) == history(items, table)[0]).all()


def test_tags_are_averaged_and_padding_is_not_read(world: Dataset) -> None:
    specs = world.schema.side("item")
    encoder = FeatureEncoder(specs, embedding_dim=4)
    inputs = {"tags.tags": torch.tensor([[2, 3], [2, -1]]), "numbers": torch.tensor([[0.5, 0.0], [0.0, 1.0]])}
    out = encoder(inputs)
    table = encoder.tables["tags"].weight
    assert out.shape == (2, encoder.output_dim)
    torch.testing.assert_close(out[0], torch.cat([torch.tensor([0.5, 0.0]), (table[2] + table[3]) / 2]))
    torch.testing.assert_close(out[1], torch.cat([torch.tensor([0.0, 1.0]), table[2]]))


def test_recency_weighs_the_newer_more() -> None:
    encoder, table = RecencyHistory((4, 1)).eval(), torch.eye(6)
    out = encoder(torch.tensor([[1, 2, 3], [0, 0, 0]]), table)
    assert out[0, 0, 1] < out[0, 0, 2] < out[0, 0, 3]
    torch.testing.assert_close(out[0, 0].square().sum(), torch.tensor(1.0))  # the weights' squares sum to one
    torch.testing.assert_close(out[0, 1], table[3])
    assert not out[1].any()


def test_attention_answers_with_what_was_asked_for() -> None:
    """Keys that match the question take all the weight; padding takes none, whatever stands in the table there."""
    table = torch.zeros(4, 2)
    table[0] = 1e6
    table[1], table[2], table[3] = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    encoder = AttentionHistory(2, (3,)).eval()
    with torch.no_grad():
        encoder.ask.weight.zero_()
        encoder.ask.bias.copy_(torch.tensor([0.0, 100.0]))
        encoder.key.weight.copy_(torch.eye(2))
    items = torch.tensor([[1, 2, 3], [2, 0, 0], [0, 0, 0]])
    out = encoder(items, table)
    torch.testing.assert_close(out[0, 1], torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(out[:, 0], MeanHistory((3,))(items, table)[:, 0])
    torch.testing.assert_close(out[1, 1], torch.tensor([0.0, 1.0]))
    assert not out[2].any()
    assert torch.isfinite(out).all()


def test_a_batch_without_dislikes_leaves_their_table_alone() -> None:
    """No gradient, so that the optimizer passes over it; and what comes out is what serving computes."""
    torch.manual_seed(0)
    settings = SoftmaxDNNSettings(embedding_dim=4, hidden_dims=(8,), dropout=0.0, history_dropout=0.0)
    network, table = QueryNetwork(6, (), settings), torch.randn(7, 4)
    torch.nn.init.normal_(network.hidden[-1].weight)  # type: ignore[arg-type]
    inputs = {
        "liked": torch.tensor([[1, 2], [3, 0]]),
        "disliked": torch.zeros(2, 1, dtype=torch.int64),
        "liked_count": torch.ones(2, 1),
    }
    network.train()
    out = network(inputs, table)
    out.sum().backward()
    assert network.disliked_items.grad is None
    torch.testing.assert_close(out, network.eval()(inputs, table))
    network.train()(inputs | {"disliked": torch.tensor([[5], [0]])}, table).sum().backward()
    gradient = network.disliked_items.grad
    assert gradient is not None
    assert (gradient.abs().sum(dim=1) > 0).tolist() == [row == 5 for row in range(7)]
