"""First-party parts: each a folder with its options (`__init__.py`, no torch) and how it works (`model.py`).

The catalogue is `registry.toml`; nothing here is imported before a composition uses it.
"""
