"""Fitting models to data. The only room that knows models, losses and data at once."""

import os

# PyTorch's OpenMP threads spin while they wait for each other. Where another process wants a core too, every one of the
# thousands of small parallel regions of a step then waits for a time slice: a step of 35 ms took 130 to 700 ms on two
# shared cores, and 35 ms with waiting threads asleep. It must be set before PyTorch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
