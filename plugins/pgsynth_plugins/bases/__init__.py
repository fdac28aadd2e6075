"""Bases: codec, denoiser and noise schedule. One folder per part; see `registry.toml`."""
