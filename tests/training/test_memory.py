"""What large tensors give back is used again."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource
import shortlist.training
import torch

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

torch.set_num_threads(1)
x = torch.ones(2**24)  # 64 MB: 16,384 pages
before = faults()
for _ in range(40):
    x * 2
print((faults() - before) / 16_384)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library of Linux")
def test_a_tensor_takes_the_place_of_one_that_is_gone() -> None:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    found = subprocess.run([sys.executable, "-c", SCRIPT], env=plain, capture_output=True, text=True, check=True)
    assert float(found.stdout) < 20  # the first few find no room that is large enough; without, all 40
