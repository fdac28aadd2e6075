"""Attention processors: links of the chain at an attention site. One folder per part; see `registry.toml`."""
