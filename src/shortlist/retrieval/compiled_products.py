"""Products of bytes and what is large among them, written for the processor's registers: the innermost loop of ``quantized``.

In LLVM's own language, through numba: the 24 registers of sums must stay registers throughout the loop over dimensions, which
no compiler makes of a loop over arrays. Whoever changes this file empties numba's cache, which does not look here.
"""

# ruff: noqa: ARG001 - the arguments are types here; numba passes the values
from __future__ import annotations

from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.extending import intrinsic

from shortlist.retrieval.quantized import PANEL, TOGETHER

_LANES = 16  # whole numbers of 32 bits in a register
_REGISTERS = PANEL // _LANES
_INSTRUCTION = "llvm.x86.avx512.vpdpbusd.512"


def has_byte_products() -> bool:
    """Whether this processor has AVX-512 VNNI, and numba compiles for it and no other."""
    told: Any = config
    if told.CPU_NAME or told.CPU_FEATURES is not None or told.DISABLE_JIT or not told.ENABLE_AVX:
        return False
    return bool(llvmlite.binding.get_host_cpu_features().get("avx512vnni"))


@intrinsic
def products(
    typing_context: Any,
    queries: Any,
    query: Any,
    panels: Any,
    panel: Any,
    lines: Any,
    facts: Any,
    fact: Any,
    steps: Any,
    found: Any,
) -> Any:
    """Whether of the products [12, 32] of queries and items any is large enough; then ``found`` says which.

    Args:
        typing_context: numba's own.
        queries, query: int32 codes of all queries, four dimensions in each, and where the group begins.
        panels, panel: uint8 codes of all items, and where the panel begins.
        lines: [4, 12] float64. Large enough is, in row r,
            lines[0, r] facts[0] − lines[1, r] facts[1] − lines[2, r] facts[2] + lines[3, r].
        facts, fact: float64, and where those of the panel begin.
        steps: a quarter of the dimensions.
        found: [12] uint32, bit i of found[r] is item i; not written where none is large enough.
    """
    signature = types.boolean(queries, types.intp, panels, types.intp, lines, facts, types.intp, types.intp, found)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        i32, i64, double = ir.IntType(32), ir.IntType(64), ir.DoubleType()
        sums_type, rows_type = ir.VectorType(i32, _LANES), ir.VectorType(double, TOGETHER)
        product = cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
            builder.module, ir.FunctionType(sums_type, [sums_type] * 3), _INSTRUCTION
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
        totals: list[Any] = []
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
def lowest(typing_context: Any, number: Any) -> Any:
    """Place of the lowest bit of a number other than 0."""
    return types.uint32(types.uint32), lambda _, builder, __, numbers: builder.cttz(numbers[0], ir.IntType(1)(1))
