"""Metrics: how close pictures are to the truth. One folder per part; see `registry.toml`."""
