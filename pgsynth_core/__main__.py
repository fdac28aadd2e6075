"""``python -m pgsynth_core``: the command line where the script `pgsynth` is not on the path."""

from __future__ import annotations

import sys

from pgsynth_core.cli import main

if __name__ == "__main__":
    sys.exit(main())
