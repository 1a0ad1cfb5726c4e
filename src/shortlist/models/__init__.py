"""One file a paper. ``base`` has the two shapes; nothing else is a model."""
