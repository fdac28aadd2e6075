"""pgsynth: methods of pose-guided person image synthesis as parts.

The names below are the Python interface; each is imported when it is first used, so that ``import pgsynth_core``
costs nothing. Parts import `annotators`, `attention`, `axes`, `data`, `errors`, `events`, `interfaces`, `metrics`,
`options`, `patches`, `testing`.
"""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pgsynth_core.api import Composition as Composition
    from pgsynth_core.api import Framing as Framing
    from pgsynth_core.api import Model as Model
    from pgsynth_core.api import Reference as Reference
    from pgsynth_core.api import Run as Run
    from pgsynth_core.api import compose as compose
    from pgsynth_core.api import load as load

__all__ = ["Composition", "Framing", "Model", "Reference", "Run", "__version__", "compose", "load"]

_SERVED = dict.fromkeys((name for name in __all__ if name != "__version__"), "pgsynth_core.api")

try:
    __version__ = version("pgsynth")
except PackageNotFoundError:  # a checkout on the path, not installed
    __version__ = "0+unknown"


def __getattr__(name: str) -> object:
    # import_module, not an import statement: or every part that imports pgsynth_core.interfaces would seem, to the
    # import linter, to import the whole api.
    if name in _SERVED:
        return getattr(importlib.import_module(_SERVED[name]), name)
    raise AttributeError(f"pgsynth_core has no {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)
