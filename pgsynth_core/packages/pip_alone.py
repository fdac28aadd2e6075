"""pip that may start no program: it builds and clones nothing, so nobody's code is run. Floor 2.

    python -P pip_alone.py install --dry-run ...

pip's own ``--only-binary`` does not hold for what a wheel requires by an address (``name @ git+https://...``): pip
would get that and ask its build for metadata. It has no flag against it.
"""

from __future__ import annotations

import os
import runpy
import sys
from typing import Final

__all__ = ["NOTHING_STARTED"]

NOTHING_STARTED: Final = "pgsynth has pip start no program while it only looks"
"""Stands in what pip says if it wanted to."""
_HARMLESS: Final = ("keyring", "ld-musl", "lsb_release", "oslevel", "rustc", "uname")
"""What pip asks about this machine, and for the user's passwords: beginnings of names."""


def _refuse(event: str, given: tuple[object, ...]) -> None:
    if event == "subprocess.Popen" and not os.path.basename(os.fsdecode(given[0])).startswith(_HARMLESS):  # type: ignore[arg-type]
        raise OSError(f"{NOTHING_STARTED}: {given[0]}")  # of what else is raised pip tells a traceback only


if __name__ == "__main__":
    sys.addaudithook(_refuse)
    runpy.run_module("pip", run_name="__main__", alter_sys=True)
