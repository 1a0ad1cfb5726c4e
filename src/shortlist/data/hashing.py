"""Text → numbers that are the same on every machine and in every version (an engine's own hashes are not)."""

from __future__ import annotations

import zlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from shortlist.data.ragged import Ragged


def hashes(values: pa.Array) -> NDArray[np.int64]:
    """CRC-32 of every text, the same on every machine and in every version; 0 for null. Each distinct text is hashed once."""
    encoded = values.dictionary_encode()
    table = np.array([zlib.crc32(text.encode()) for text in encoded.dictionary.to_pylist()] + [0], dtype=np.int64)
    places = pc.fill_null(encoded.indices, len(table) - 1).to_numpy(zero_copy_only=False)
    hashed: NDArray[np.int64] = table[places]
    return hashed


def word_hashes(plain: pa.Array) -> Ragged:
    """Hashes of the words and pairs of neighbouring words of every text (Weinberger et al., ICML 2009)."""
    lowered = pc.utf8_lower(pc.fill_null(plain, ""))
    words = pc.split_pattern(pc.utf8_trim_whitespace(pc.replace_substring_regex(lowered, r"[^\pL\pN]+", " ")), " ")
    lengths = pc.list_value_length(words).to_numpy(zero_copy_only=False).astype(np.int64)
    flat = pc.list_flatten(words)
    present = pc.not_equal(flat, "").to_numpy(zero_copy_only=False)
    single = Ragged.from_lengths(hashes(flat), lengths).where(present)
    follows = np.zeros(len(single.values), dtype=bool)
    follows[1:] = single.row_of_value[1:] == single.row_of_value[:-1]
    before = np.roll(single.values, 1)
    pairs = Ragged((before * 1_000_003 + single.values) % (1 << 32), single.offsets).where(follows)
    return single.concat_rows(pairs)
