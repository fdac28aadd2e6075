"""``python -m pgsynth_core``: the same as the command ``pgsynth``, for launchers of several processes too."""

from __future__ import annotations

import os
import sys

from pgsynth_core.cli import main

if __name__ == "__main__":
    if os.environ.get("RANK", "0") != "0":  # of several processes that train together, one speaks
        with open(os.devnull, "w", encoding="utf-8") as nowhere:
            sys.stdout = nowhere
            sys.exit(main())
    sys.exit(main())
