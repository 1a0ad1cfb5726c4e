"""Fitting models to data. The only room that knows models, losses and data at once."""
