"""How good it is: metrics of ranks, the evaluator, the report."""
