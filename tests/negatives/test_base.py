from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

import shortlist.negatives
from shortlist.negatives import Negatives


def test_item_and_log_q_are_of_one_shape() -> None:
    with pytest.raises(ValueError, match=r"item_idx is \[2\] and log_q \[3\]"):
        Negatives(np.zeros(2, np.int64), np.zeros(3))


def test_columns_keep_both_together() -> None:
    chosen = Negatives(np.array([[1, 2], [3, 4]]), np.array([[0.1, 0.2], [0.3, 0.4]])).columns(
        np.array([[1, 1], [0, 1]])
    )
    assert chosen.item_idx.tolist() == [[2, 2], [3, 4]]
    assert chosen.log_q.tolist() == [[0.2, 0.2], [0.3, 0.4]]


def test_the_room_knows_only_arrays() -> None:
    allowed = ("numpy", "shortlist.negatives", "shortlist.data.ragged", "__future__", "dataclasses", "typing")
    for file in Path(shortlist.negatives.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert str(node.module).startswith((*allowed, "collections.abc")), (file.name, node.module)
            elif isinstance(node, ast.Import):
                assert [name.name for name in node.names] == ["numpy"], file.name
