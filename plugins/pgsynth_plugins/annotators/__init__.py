"""Annotators: what photos show and nobody has written down. One folder per part; see `registry.toml`."""
