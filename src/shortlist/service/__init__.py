"""HTTP and web pages over one recommender."""
