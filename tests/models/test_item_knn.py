from __future__ import annotations

import numpy as np
import pytest

from shortlist.data.ragged import Ragged
from shortlist.models.item_knn import ItemKNN
from shortlist.settings import ItemKNNSettings


@pytest.mark.parametrize("user_exponent", [0.0, 0.5, 1.0])
def test_a_common_user_counts_by_a_power_of_what_they_took(user_exponent: float) -> None:
    log = [[0, 1], [0, 2, 3, 4], [0, 2, 5], [], [1, 1, 3]]
    settings = ItemKNNSettings(neighbours=6, shrinkage=1.5, exponent=0.3, user_exponent=user_exponent)
    found = ItemKNN.fit(Ragged.from_rows(log), 6, settings).encode_items().toarray()
    expected, users = np.zeros((6, 6)), [set(row) for row in log]
    taken = [sum(item in row for row in users) for item in range(6)]
    for i in range(6):
        for j in set(range(6)) - {i}:
            common = sum(len(row) ** -user_exponent for row in users if {i, j} <= row)
            expected[i, j] = common / ((taken[i] * taken[j]) ** 0.3 + 1.5)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_who_took_everything_does_not_make_neighbours() -> None:
    log = Ragged.from_rows([[0, 1], *[[0, *range(2, 40)]] * 2])
    nearest = {
        power: int(
            ItemKNN.fit(log, 40, ItemKNNSettings(shrinkage=0, exponent=0, user_exponent=power))
            .encode_items()
            .toarray()[0]
            .argmax()
        )
        for power in (0.0, 1.0)
    }
    assert nearest[0.0] != 1
    assert nearest[1.0] == 1
