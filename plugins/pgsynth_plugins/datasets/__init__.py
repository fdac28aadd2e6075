"""Datasets: pairs of one person in two poses. One folder per part; see `registry.toml`."""
