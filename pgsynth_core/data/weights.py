"""Where the weights are that metrics need: given ones, then what torch or a publisher's library fetched before.

Nothing is fetched. A file is known by the name that its publisher gives it. One with other content than the publisher
names is used, and scores with it have an id of their own: they compare with no published number.
"""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from pgsynth_core.errors import UserError
from pgsynth_core.metrics import FoundWeights, NotComputed, WeightFile

__all__ = ["hub_folder", "weights_in"]


def hub_folder() -> Path:
    """Where torch keeps weights that it fetched: ``$TORCH_HOME/hub/checkpoints``, else among the user's caches."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("TORCH_HOME") or Path(caches) / "torch").expanduser() / "hub" / "checkpoints"


def weights_in(given: Sequence[str | Path]) -> Callable[[WeightFile], FoundWeights]:
    """What finds weights.

    Args:
        given: Files, or folders of them.

    Raises:
        UserError: If one of these does not exist.
    """
    places = [Path(place).expanduser() for place in given]
    for place in places:
        if not place.exists():
            cure = "Give a file of weights, or the folder that it is in."
            raise UserError(f"there is no {str(place)!r}.", where="--weights", cure=cure)

    def find(wanted: WeightFile) -> FoundWeights:
        kept = (Path.home() / wanted.folder if wanted.folder else hub_folder()) / wanted.name
        looked_at = [place if place.is_file() else place / wanted.name for place in places]
        candidates = [path for path in (*looked_at, kept) if path.is_file()]
        named = [path for path in candidates if path.name == wanted.name]
        others = [path for path in candidates if path.name != wanted.name]
        for path in (*named, *others):
            digest = _sha256(path)
            official = digest.startswith(wanted.sha256)
            if official or path in named:
                return FoundWeights(path, digest, official)
        command = wanted.command or f"curl -L --create-dirs -o {shlex.quote(str(kept))} {wanted.url}"
        raise NotComputed(
            f"it needs the weights {wanted.name} ({wanted.megabytes} MB), and they are not on this machine.",
            cure=f"Fetch them: {command} - or say where they are: --weights PATH.",
        )

    return find


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        cure = "Mend that, or give another file."
        raise UserError(f"it cannot be read: {error.strerror or error}.", where=str(path), cure=cure) from error
