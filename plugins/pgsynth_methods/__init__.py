"""Preset specs, one YAML file each, found through the `[[preset]]` entries of `registry.toml`."""
