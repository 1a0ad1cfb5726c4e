"""Run every benchmark whose data is at hand: ``make bench``."""

from __future__ import annotations

import runpy
import sys

from shortlist.errors import DataError

SCRIPTS = (
    "leave_last_out",
    "ml_1m_path",
    "load_memory",
    "evaluation_speed",
    "large_softmax",
    "ml_100k_stratified",
    "tfrs_protocol",
    "ncf_protocol",
    "strong_generalization",
    "gowalla",
    "exact_search",
    "precompute",
    "in_batch_ablation",
    "sequential",
    "training_speed",
    "popularity_pull",
    "reranking",
    "funnel",
)

for script in SCRIPTS:
    print(f"\n=== benchmarks.{script}", flush=True)
    sys.argv = [script]
    try:
        runpy.run_module(f"benchmarks.{script}", run_name="__main__")
    except DataError as error:
        print(f"left out: {error}")
