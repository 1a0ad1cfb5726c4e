"""Published tables and peer comparisons: one script each; results stand in docs/LOG.md and docs/benchmarks.md."""
