"""Peak memory of loading a log, beside the size of the Parquet columns it reads.

    python -m benchmarks.load_memory [--rows 10000000]

A synthetic log (users and items drawn from a power law, seconds, ratings) is written to Parquet and prepared in a process
of its own; its peak is counted from what the process held after its imports.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

CHILD = """
import json, sys, time
from shortlist.data.preparation import prepare
from shortlist.settings import Settings
from benchmarks._shared import peak_mb as peak
data = Settings.from_dict({"data": {"memory_limit": sys.argv[2], "columns": {"timestamp": "timestamp", "value": "value"}}}).data
before, started = peak(), time.perf_counter()
summary = prepare(sys.argv[1], settings=data).summary
print(json.dumps([peak() - before, before, time.perf_counter() - started, str(summary)]))
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--memory-limit", default="512MB")
    arguments = parser.parse_args()
    rng, n = np.random.default_rng(0), arguments.rows
    table = pa.table(
        {
            "user_id": (rng.pareto(1.2, n) * 3_000).astype(np.int64) % 500_000,
            "item_id": (rng.pareto(1.0, n) * 500).astype(np.int64) % 100_000,
            "timestamp": rng.integers(1_500_000_000, 1_600_000_000, n),
            "value": rng.integers(1, 11, n) / 2,
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "log.parquet"
        pq.write_table(table, file)
        on_disk = file.stat().st_size / 1e6
        command = [sys.executable, "-c", CHILD, str(file), arguments.memory_limit]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    peak, before, seconds, summary = json.loads(done.stdout)
    in_memory = table.nbytes / 1e6
    print(summary)
    print(
        f"{n:,} rows: columns {in_memory:,.0f} MB in memory, {on_disk:,.0f} MB as Parquet; loading took {seconds:.1f} s and "
        f"{peak:,.0f} MB above the {before:,.0f} MB of imports: {peak / in_memory:.1f} × the columns"
    )


if __name__ == "__main__":
    main()
