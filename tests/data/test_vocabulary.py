from __future__ import annotations

import pyarrow as pa
import pytest

from shortlist.data.vocabulary import Vocabulary
from shortlist.errors import DataError, UnknownIdError


def test_integers_accept_their_text_but_no_lookalike() -> None:
    vocabulary = Vocabulary([7, 3])
    assert vocabulary.rows([7, "7", "007", " 7", 7.0, True, None, "x"]).tolist() == [
        0,
        0,
        -1,
        -1,
        -1,
        -1,
        -1,
        -1,
    ]


def test_text_keeps_leading_zeros_apart() -> None:
    vocabulary = Vocabulary(["007", "7"])
    assert vocabulary.rows(["7", "007", 7]).tolist() == [1, 0, 1]


def test_unknown_id_says_what_ids_look_like() -> None:
    with pytest.raises(UnknownIdError, match=r"no item 99 among the 2 known items \(ids look like 7\)"):
        Vocabulary([7, 3]).row(99)


@pytest.mark.parametrize(
    ("ids", "message"), [(pa.array([1, None]), "1 missing ids"), (pa.array([1, 1]), "an id twice")]
)
def test_unusable_ids(ids: pa.Array, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Vocabulary(ids)
