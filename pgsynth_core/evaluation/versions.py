"""Which versions matter: whether what was made by other versions may be taken for what would be made now.

Of a library, the release series, its first two numbers: within one, releases mend and do not change arithmetic,
and to score a training set again for hours after each of them would buy nothing. A new series may compute otherwise.
Of a package that brings a part, the whole version: only its author knows what a release changes. Of pgsynth's own
metrics none: their ids are changed with what they compute.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version

__all__ = ["here", "series"]


def series(said: str) -> str:
    """The first two numbers of a version: ``2.9`` of ``2.9.1+cu128``."""
    return ".".join(said.split("+")[0].split(".")[:2])


@cache
def here(name: str) -> str:
    """The version of a distribution that is installed; empty if it is not."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
