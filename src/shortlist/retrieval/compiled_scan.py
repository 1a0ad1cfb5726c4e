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
from shortlist.retrieval.quantized import BLOCK, PANEL, TOGETHER

_LANES = 16  # whole numbers of 32 bits in a register
_REGISTERS = PANEL // _LANES
_PANELS_AT_ONCE = 512  # with 64 dimensions 1 MB, which a core keeps at hand for all its queries
_TINY = float(np.finfo(np.float32).tiny)


def has_byte_products() -> bool:
    """Whether this processor, and what numba was told of it, has AVX-512 VNNI."""
    if config.CPU_NAME or config.CPU_FEATURES is not None or config.DISABLE_JIT:
        return False
    return bool(llvmlite.binding.get_host_cpu_features().get("avx512vnni"))


@intrinsic
def _products(typing_context, queries, query, panels, panel, lines, facts, fact, steps, found):  # type: ignore[no-untyped-def] # noqa: ANN, E501
    """Whether of the products [12, 32] of a group of queries and a panel of items any is large enough; then ``found`` says which.

    Large enough is, in row r,  lines[0, r] / unit − lines[1, r] error / unit − lines[2, r] norm / unit + lines[3, r];  bit i of
    found[r] [12] is item i. Written in LLVM's own language, because all 24 registers of sums must stay registers throughout the
    loop over dimensions.
    """
    signature = types.boolean(queries, types.intp, panels, types.intp, lines, facts, types.intp, types.intp, found)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        i32, i64, double = ir.IntType(32), ir.IntType(64), ir.DoubleType()
        sums_type, rows_type = ir.VectorType(i32, _LANES), ir.VectorType(double, TOGETHER)
        product = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(sums_type, [sums_type] * 3), "llvm.x86.avx512.vpdpbusd.512"
        )

        def pointer(argument: int, first: Any, kind: Any) -> Any:
            array = context.make_array(signature.args[argument])(context, builder, arguments[argument])
            return builder.bitcast(builder.gep(array.data, [first]), kind.as_pointer())

        def at(start: Any, offset: Any, kind: Any) -> Any:
            return builder.bitcast(builder.gep(start, [offset]), kind.as_pointer())

        def everywhere(number: Any, count: int) -> Any:
            one = ir.Constant(ir.VectorType(number.type, count), ir.Undefined)
            return builder.shuffle_vector(
                builder.insert_element(one, number, i32(0)), one, ir.VectorType(i32, count)([0] * count)
            )

        query_codes, panel_codes = pointer(0, arguments[1], i32), pointer(2, arguments[3], i32)
        terms, facts = pointer(4, i64(0), double), pointer(5, arguments[6], double)
        found = pointer(8, i64(0), ir.IntType(_LANES))

        # what is needed
        total = builder.load(at(terms, i64(3 * TOGETHER), rows_type), align=8)
        for number, combine in enumerate((builder.fadd, builder.fsub, builder.fsub)):
            term = builder.load(at(terms, i64(number * TOGETHER), rows_type), align=8)
            fact = everywhere(builder.load(builder.gep(facts, [i64(number)])), TOGETHER)
            total = combine(total, builder.fmul(term, fact))
        for comparison, limit in (("<", 2.0**31 - 1), (">", -(2.0**31))):
            limits = rows_type([limit] * TOGETHER)
            total = builder.select(builder.fcmp_ordered(comparison, total, limits), total, limits)
        least = builder.fptosi(total, ir.VectorType(i32, TOGETHER))

        # what there is
        before, loop, after = builder.block, builder.append_basic_block(), builder.append_basic_block()
        builder.branch(loop)
        builder.position_at_end(loop)
        step = builder.phi(i64)
        sums = [builder.phi(sums_type) for _ in range(TOGETHER * _REGISTERS)]
        offsets = [builder.add(builder.mul(step, i64(PANEL)), i64(part * _LANES)) for part in range(_REGISTERS)]
        items = [builder.load(at(panel_codes, offset, sums_type), align=4) for offset in offsets]
        totals = []
        for row in range(TOGETHER):
            offset = builder.add(builder.mul(step, i64(TOGETHER)), i64(row))
            code = everywhere(builder.load(builder.gep(query_codes, [offset])), _LANES)
            for part in range(_REGISTERS):
                totals.append(builder.call(product, [sums[len(totals)], items[part], code]))
        for one, following in zip(sums, totals, strict=True):
            one.add_incoming(sums_type([0] * _LANES), before)
            one.add_incoming(following, loop)
        next_step = builder.add(step, i64(1))
        step.add_incoming(i64(0), before)
        step.add_incoming(next_step, loop)
        builder.cbranch(builder.icmp_signed("<", next_step, arguments[7]), loop, after)

        # where it suffices
        builder.position_at_end(after)
        lanes_type = ir.VectorType(ir.IntType(1), _LANES)
        is_enough = []
        for row in range(TOGETHER):
            threshold = everywhere(builder.extract_element(least, i32(row)), _LANES)
            for one in totals[row * _REGISTERS : (row + 1) * _REGISTERS]:
                is_enough.append(builder.icmp_signed(">=", one, threshold))  # noqa: PERF401 - instructions, in order
        is_any = is_enough[0]
        for one in is_enough[1:]:
            is_any = builder.or_(is_any, one)
        is_any = builder.icmp_unsigned("!=", builder.bitcast(is_any, ir.IntType(_LANES)), ir.IntType(_LANES)(0))
        with builder.if_then(is_any, likely=False):
            for number, one in enumerate(is_enough):
                builder.store(one, at(found, i64(number), lanes_type), align=2)
        return is_any

    return signature, generate


@intrinsic
def _lowest(typing_context, number):  # type: ignore[no-untyped-def] # noqa: ANN
    """Place of the lowest bit of a number other than 0."""
    return types.uint32(types.uint32), lambda _, builder, __, numbers: builder.cttz(numbers[0], ir.IntType(1)(1))


def scan(
    panels: NDArray[np.uint8],
    panel_facts: NDArray[np.float64],
    bounds: NDArray[np.float64],
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
        panel_facts: [P, 3] 1 / unit, largest error / unit, largest norm / unit.
        bounds: [⌈P / 8⌉, 4] of eight panels: ``pruning.Bounds``, in the order of its fields.
        items: [P · 32] which item stands there, −1: none.
        item_vectors: [N, D].
        codes: [G, steps, 12] of the queries, four dimensions in one.
        query_facts: [G, 8, 12] norm, norm of the rest, last dimension, coded norm, error and rounding, 1 / unit, what
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
            flat, panel_facts, bounds, items, item_vectors, numbers, query_facts, slots, queries,
            *admitted, keys, count, threshold, start, stop, own, steps,
        )  # fmt: skip

    in_threads(work, groups)


@numba.njit(nogil=True, cache=True)
def _scan(  # type: ignore[no-untyped-def] # noqa: ANN
    panels, panel_facts, bounds, items, item_vectors, codes, query_facts, slots, queries,
    bitmaps, bitmap, offsets, exceptions, keys, count, threshold, start, stop, groups, steps,
):  # fmt: skip
    found = np.empty(TOGETHER, np.uint32)
    lines, least = np.empty((4, TOGETHER)), np.empty(TOGETHER)
    facts_of_panels = panel_facts.reshape(-1)
    for first in range(start, stop, _PANELS_AT_ONCE):
        for group in groups:
            facts = query_facts[group]
            for r in range(TOGETHER):
                query = slots[group * TOGETHER + r]
                least[r] = threshold[query] if query >= 0 else np.inf
                lines[0, r] = (least[r] - _TINY) * facts[5, r]
                lines[1, r], lines[2, r], lines[3, r] = (
                    facts[3, r] * facts[5, r],
                    facts[4, r] * facts[5, r],
                    facts[6, r],
                )
            for panel in range(first, min(first + _PANELS_AT_ONCE, stop)):
                if panel == first or panel % BLOCK == 0:
                    is_open = _reaches(facts, bounds[panel // BLOCK], least)
                if not is_open:
                    continue
                if not _products(
                    codes, group * steps * TOGETHER, panels, panel * steps * PANEL * 4,
                    lines, facts_of_panels, panel * 3, steps, found,
                ):  # fmt: skip
                    continue
                for r in range(TOGETHER):
                    query, lanes = slots[group * TOGETHER + r], found[r]
                    if lanes == 0 or query < 0:
                        continue
                    while lanes:
                        item = items[panel * PANEL + _lowest(lanes)]
                        lanes &= lanes - np.uint32(1)
                        if item < 0 or not _admits(
                            bitmaps, bitmap[query], exceptions, offsets[query], offsets[query + 1], item
                        ):
                            continue
                        score = _dot(queries, query, item_vectors, item)
                        if score >= least[r]:
                            least[r] = _keep(keys, query, count, score, item, least[r])
                    threshold[query] = least[r]
                    lines[0, r] = (least[r] - _TINY) * facts[5, r]


@numba.njit(nogil=True, cache=True)
def _reaches(facts, bounds, least):  # type: ignore[no-untyped-def] # noqa: ANN
    """Whether any query of a group may find a score it wants among these items; see ``pruning.Bounds.reach``."""
    norm, rest, low, high = bounds
    for r in range(TOGETHER):
        last = facts[2, r]
        apart = facts[1, r] * rest + max(last * low, last * high)
        if min(facts[0, r] * norm, apart) + facts[7, r] * norm + _TINY >= least[r]:
            return True
    return False


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
