"""The loops of ``quantized``, compiled by numba: products of bytes, and what becomes of those that are large."""

from __future__ import annotations

from typing import Any

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.extending import intrinsic
from numpy.typing import NDArray

from shortlist.retrieval.compiled import in_threads
from shortlist.retrieval.filters import ALL
from shortlist.retrieval.quantized import PANEL, TOGETHER

_LANES = 16  # whole numbers of 32 bits in a register
_REGISTERS = PANEL // _LANES
_PANELS_AT_ONCE = 512  # with 64 dimensions 1 MB, which a core keeps at hand for all its queries
_TINY = float(np.finfo(np.float32).tiny)
_LEAST, _MOST = -(2.0**31), 2.0**31 - 1


def has_byte_products() -> bool:
    """Whether this processor, and what numba was told of it, has AVX-512 VNNI."""
    if config.CPU_NAME or config.CPU_FEATURES is not None or config.DISABLE_JIT:
        return False
    return bool(llvmlite.binding.get_host_cpu_features().get("avx512vnni"))


@intrinsic
def _products(typing_context: Any, queries: Any, query: Any, panels: Any, panel: Any, needed: Any, out: Any, steps: Any) -> Any:  # type: ignore[no-untyped-def] # noqa: E501
    """Products [12, 32] of a group of queries and a panel of items into ``out``; bit r of the result: row r has one ≥ needed[r].

    Written in LLVM's own language, because all 24 registers of sums must stay registers throughout the loop over dimensions.
    """
    signature = types.uint32(queries, types.intp, panels, types.intp, needed, out, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        i32, i64 = ir.IntType(32), ir.IntType(64)
        vector = ir.VectorType(i32, _LANES)
        undefined, zeros = ir.Constant(vector, ir.Undefined), ir.Constant(vector, [0] * _LANES)
        product = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(vector, [vector] * 3), "llvm.x86.avx512.vpdpbusd.512"
        )

        def pointer(argument: int, offset: Any) -> Any:
            array = context.make_array(signature.args[argument])(context, builder, arguments[argument])
            return builder.bitcast(builder.gep(array.data, [offset]), i32.as_pointer())

        def at(start: Any, offset: Any) -> Any:
            return builder.bitcast(builder.gep(start, [offset]), vector.as_pointer())

        def everywhere(number: Any) -> Any:
            return builder.shuffle_vector(builder.insert_element(undefined, number, i32(0)), undefined, zeros)

        query_codes, panel_codes = pointer(0, arguments[1]), pointer(2, arguments[3])
        least, products = pointer(4, i64(0)), pointer(5, i64(0))
        before, loop, after = builder.block, builder.append_basic_block(), builder.append_basic_block()
        builder.branch(loop)
        builder.position_at_end(loop)
        step = builder.phi(i64)
        sums = [builder.phi(vector) for _ in range(TOGETHER * _REGISTERS)]
        items = []
        for part in range(_REGISTERS):
            offset = builder.add(builder.mul(step, i64(PANEL)), i64(part * _LANES))
            items.append(builder.load(at(panel_codes, offset), align=4))
        totals = []
        for row in range(TOGETHER):
            offset = builder.add(builder.mul(step, i64(TOGETHER)), i64(row))
            code = everywhere(builder.load(builder.gep(query_codes, [offset])))
            totals += [
                builder.call(product, [sums[row * _REGISTERS + part], items[part], code]) for part in range(_REGISTERS)
            ]
        for one, total in zip(sums, totals, strict=True):
            one.add_incoming(zeros, before)
            one.add_incoming(total, loop)
        following = builder.add(step, i64(1))
        step.add_incoming(i64(0), before)
        step.add_incoming(following, loop)
        builder.cbranch(builder.icmp_signed("<", following, arguments[6]), loop, after)
        builder.position_at_end(after)
        rows = i32(0)
        for row in range(TOGETHER):
            threshold = everywhere(builder.load(builder.gep(least, [i64(row)])))
            found = ir.Constant(ir.VectorType(ir.IntType(1), _LANES), [0] * _LANES)
            for part in range(_REGISTERS):
                total = totals[row * _REGISTERS + part]
                found = builder.or_(found, builder.icmp_signed(">=", total, threshold))
                builder.store(total, at(products, i64(row * PANEL + part * _LANES)), align=4)
            lanes = builder.bitcast(found, ir.IntType(_LANES))
            is_found = builder.zext(builder.icmp_unsigned("!=", lanes, ir.IntType(_LANES)(0)), i32)
            rows = builder.or_(rows, builder.shl(is_found, i32(row)))
        return rows

    return signature, generate


def scan(
    panels: NDArray[np.uint8],
    panel_facts: NDArray[np.float64],
    items: NDArray[np.int32],
    item_vectors: NDArray[np.float32],
    codes: NDArray[np.int32],
    query_facts: NDArray[np.float64],
    slots: NDArray[np.int64],
    queries: NDArray[np.float32],
    admitted: tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]],
    keys: NDArray[np.int64],
    count: NDArray[np.int64],
    threshold: NDArray[np.float64],
    start: int,
    stop: int,
) -> None:
    """Bring the heaps of all queries up to date with some panels, in place; threads share out the groups of queries.

    Args:
        panels: [P, steps, 32, 4] codes of the items, and 128.
        panel_facts: [P, 6] largest norm, largest norm of the rest, least and largest last dimension, largest error, 1 / unit.
        items: [P · 32] which item stands there, −1: none.
        item_vectors: [N, D].
        codes: [G, steps, 12] of the queries, four dimensions in one.
        query_facts: [8, G · 12] norm, norm of the rest, last dimension, coded norm, error and rounding, 1 / unit, what
            128 adds to a product, rounding.
        slots: [G · 12] the query that stands there, −1: none.
        queries: [B, D].
        admitted: bitmaps, their numbers [B], and the exceptions' offsets and values, sorted in each row.
        keys: [B, k] a heap a query, the worst key on top.
        count: [B] how many keys it has.
        threshold: [B] score of its worst key where it is full.
        start, stop: of the panels.
    """
    flat, numbers, steps = panels.reshape(-1), codes.reshape(-1), panels.shape[1]
    groups = np.arange(codes.shape[0])

    def work(own: NDArray[np.int64]) -> None:
        _scan(
            flat, panel_facts, items, item_vectors, numbers, query_facts, slots, queries, *admitted,
            keys, count, threshold, start, stop, own, steps,
        )  # fmt: skip

    in_threads(work, groups)


@numba.njit(nogil=True, cache=True)
def _scan(  # type: ignore[no-untyped-def] # noqa: ANN
    panels, panel_facts, items, item_vectors, codes, query_facts, slots, queries, bitmaps, bitmap, offsets, exceptions,
    keys, count, threshold, start, stop, groups, steps,
):  # fmt: skip
    products, needed = np.empty(TOGETHER * PANEL, np.int32), np.empty(TOGETHER, np.int32)
    least = np.empty(TOGETHER)
    for first in range(start, stop, _PANELS_AT_ONCE):
        for group in groups:
            for r in range(TOGETHER):
                query = slots[group * TOGETHER + r]
                least[r] = threshold[query] if query >= 0 else np.inf
            facts = query_facts[:, group * TOGETHER : (group + 1) * TOGETHER]
            for panel in range(first, min(first + _PANELS_AT_ONCE, stop)):
                if not _needed(facts, panel_facts[panel], least, needed):
                    continue
                at = group * steps * TOGETHER, panel * steps * PANEL * 4
                rows = _products(codes, at[0], panels, at[1], needed, products, steps)
                if rows == 0:
                    continue
                for r in range(TOGETHER):
                    if not rows >> r & 1:
                        continue
                    query = slots[group * TOGETHER + r]
                    for lane in range(PANEL):
                        item = items[panel * PANEL + lane]
                        if products[r * PANEL + lane] < needed[r] or item < 0:
                            continue
                        if _admits(bitmaps, bitmap[query], exceptions, offsets[query], offsets[query + 1], item):
                            score = _dot(queries, query, item_vectors, item)
                            if score >= least[r]:
                                least[r] = _keep(keys, query, count, score, item, least[r])
                    threshold[query] = least[r]


@numba.njit(nogil=True, cache=True)
def _needed(facts, panel, least, needed):  # type: ignore[no-untyped-def] # noqa: ANN
    """Write which products may belong to scores of at least so much; say whether there can be any."""
    norm, rest, low, high, error, per_unit = panel
    is_open = False
    for r in range(TOGETHER):
        last = facts[2, r]
        reach = min(facts[0, r] * norm, facts[1, r] * rest + max(last * low, last * high)) + facts[7, r] * norm + _TINY
        is_open |= reach >= least[r]
    if is_open:
        for r in range(TOGETHER):
            score = least[r] - facts[3, r] * error - facts[4, r] * norm - _TINY
            product = score * facts[5, r] * per_unit + facts[6, r] - 1
            needed[r] = np.int32(min(max(product, _LEAST), _MOST))
    return is_open


@numba.njit(nogil=True, cache=True)
def _admits(bitmaps, number, exceptions, start, stop, item):  # type: ignore[no-untyped-def] # noqa: ANN
    admits = number == ALL
    if number >= 0:
        admits = (bitmaps[number, item >> 3] >> np.uint8(item & 7)) & 1 == 1
    while start < stop:
        middle = (start + stop) // 2
        if exceptions[middle] == item:
            return not admits
        if exceptions[middle] < item:
            start = middle + 1
        else:
            stop = middle
    return admits


@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def _dot(queries, query, item_vectors, item):  # type: ignore[no-untyped-def] # noqa: ANN
    total = np.float32(0)
    for i in range(queries.shape[1]):
        total += queries[query, i] * item_vectors[item, i]
    return total


@numba.njit(nogil=True, cache=True)
def _keep(keys, query, count, score, item, least):  # type: ignore[no-untyped-def] # noqa: ANN
    """Put an item into its query's heap if it is good enough; the score that the next one must reach."""
    heap, size = keys[query], count[query]
    key = _to_key(score, item)
    if size < len(heap):
        count[query] = size + 1
        while size > 0 and heap[(size - 1) // 2] < key:
            heap[size] = heap[(size - 1) // 2]
            size = (size - 1) // 2
        heap[size] = key
    elif key < heap[0]:
        at = 0
        while 2 * at + 1 < len(heap):
            child = 2 * at + 1
            if child + 1 < len(heap) and heap[child + 1] > heap[child]:
                child += 1
            if heap[child] <= key:
                break
            heap[at] = heap[child]
            at = child
        heap[at] = key
    return _to_score(heap[0]) if count[query] == len(heap) else least


@numba.njit(nogil=True, cache=True)
def _to_key(score, item):  # type: ignore[no-untyped-def] # noqa: ANN
    """See ``selection.to_keys``."""
    bits = np.int64(np.float32(score + np.float32(0)).view(np.int32))
    return -((bits if bits >= 0 else bits ^ np.int64(0x7FFFFFFF)) << np.int64(32)) + np.int64(item)


@numba.njit(nogil=True, cache=True)
def _to_score(key):  # type: ignore[no-untyped-def] # noqa: ANN
    bits = -(key >> np.int64(32))
    return np.float64(np.int32(bits if bits >= 0 else bits ^ np.int64(0x7FFFFFFF)).view(np.float32))
