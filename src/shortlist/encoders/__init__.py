"""Columns → vectors: embedding tables, features, history, hidden layers."""
