"""Arrays that scoring keeps in the cache: read whole or not at all, and never missed where the disk refuses them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import numpy as np

from pgsynth_core.data import cache_root, place_of
from pgsynth_core.errors import UserError
from pgsynth_core.runs.durable import temporary

__all__ = ["keep", "kept"]


def kept(kind: str, key: str) -> dict[str, np.ndarray]:
    """The arrays of an entry; none if there is no such entry, or none that can be read.

    Args:
        kind: Folder of the cache.
        key: 32 hexadecimal digits.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return dict(load_file(place_of(cache_root(), kind, key)))
    except (OSError, SafetensorError, UserError):
        return {}


def keep(kind: str, key: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Keep arrays under a key, as of `kept`. What the disk refuses is made anew another time."""
    from safetensors.numpy import save_file

    with suppress(OSError, UserError):
        place = place_of(cache_root(), kind, key)
        place.parent.mkdir(parents=True, exist_ok=True)
        beside = temporary(place)
        try:
            save_file({name: np.ascontiguousarray(value) for name, value in arrays.items()}, beside)
            beside.replace(place)
        finally:
            beside.unlink(missing_ok=True)
