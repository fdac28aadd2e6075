"""Find a package's data files and its name without importing it.

Floor 1, no torch. Only top-level packages are looked up: `find_spec` of a dotted name would import its parents.
"""

from __future__ import annotations

import re
import traceback
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Final

from pgsynth_core.errors import PartError

__all__ = ["FOREIGN_FAULTS", "file_in_package", "folders_of", "normalised", "raise_interrupts", "reason_of"]

FOREIGN_FAULTS: Final = (Exception, SystemExit)
"""What other people's code may raise at us, and every guard catches. Never the user's own interrupt."""


def raise_interrupts(error: BaseException) -> None:
    """Raise again what is no fault but a request to end.

    For guards that catch everything: what extensions panic with (of Rust, for one) is no `Exception`.
    """
    if isinstance(error, (KeyboardInterrupt, GeneratorExit)):
        raise error


def reason_of(error: BaseException, target: str = "") -> str:
    """The last entry of the error's traceback on one line: its type and what it says.

    Args:
        error: What was raised.
        target: ``package.module:attribute`` of who raised it: the last line of that package is told too.
    """
    last = traceback.format_exception_only(type(error), error)[-1]
    said = " ".join(last.split())[:500]
    place = _place(error, target.partition(":")[0].partition(".")[0])
    return f"{said.removesuffix('.')} ({place})" if place else said


def _place(error: BaseException, package: str) -> str:
    """``file.py:12``; empty if the package is not on the way."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{Path(error.filename).name}:{error.lineno}"
    frames = [frame for frame in traceback.walk_tb(error.__traceback__) if package]
    own = [pair for pair in frames if str(pair[0].f_globals.get("__name__")).partition(".")[0] == package]
    return f"{Path(own[-1][0].f_code.co_filename).name}:{own[-1][1]}" if own else ""


def normalised(distribution: str) -> str:
    """The distribution's name as PEP 503 writes it: lower case, runs of ``-``, ``_`` and ``.`` one dash."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def folders_of(top: str) -> tuple[Path, ...] | None:
    """Where a top-level package lies: none if it is a single module; None if it is not on the import path.

    Raises:
        PartError: If looking for it fails.
    """
    try:
        spec = find_spec(top)
    except FOREIGN_FAULTS as error:
        raise PartError(f"looking for the package {top} failed: {reason_of(error)}.") from error
    return spec if spec is None else tuple(map(Path, spec.submodule_search_locations or ()))


def file_in_package(reference: str) -> Path:
    """The file that ``top_level_package:path/inside.toml`` names.

    The path is checked as written, not where links lead: some installers fill site-packages with links.

    Raises:
        PartError: If the package is not there, the path leaves its folder, or there is no such file.
    """
    top, _, inside = reference.partition(":")
    path = PurePosixPath(inside)
    if not top.isidentifier() or not inside:
        raise PartError(f"{reference!r} is not of the form top_level_package:path/to/file.")
    if path.is_absolute() or ".." in path.parts or "\\" in inside:
        raise PartError(f"{reference!r} leaves the folder of the package {top}; only files inside it are read.")
    folders = folders_of(top)
    if folders is None:
        raise PartError(f"{reference!r}: there is no package {top} on the import path.")
    if not folders:
        raise PartError(f"{reference!r}: {top} is a single module, not a package, so it holds no files.")
    for folder in folders:
        if (candidate := folder / path).is_file():
            return candidate
    raise PartError(f"{reference!r}: the package {top} has no file {inside}.")
