"""Encoders: source in, appearance ports out. One folder per part; see `registry.toml`."""
