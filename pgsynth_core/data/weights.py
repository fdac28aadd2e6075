"""Where the weights are that metrics need: given ones, then what torch or a publisher's library fetched before.

Nothing is fetched. A file is known by the name that its publisher gives it. One with other content than the publisher
names is used, and scores with it have an id of their own: they compare with no published number.
"""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from pgsynth_core.errors import UserError
from pgsynth_core.metrics import FoundWeights, NotComputed, WeightFile

__all__ = ["WeightsIn", "hub_folder", "weights_in"]


def hub_folder() -> Path:
    """Where torch keeps weights that it fetched: ``$TORCH_HOME/hub/checkpoints``, else among the user's caches."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("TORCH_HOME") or Path(caches) / "torch").expanduser() / "hub" / "checkpoints"


class WeightsIn:
    """What finds weights, and knows which of the given places were none of them.

    Args:
        given: Files, or folders of them.

    Raises:
        UserError: If one of these does not exist.
    """

    def __init__(self, given: Sequence[str | Path]) -> None:
        self._places = [Path(place).expanduser() for place in given]
        self._used: set[Path] = set()
        self._wanted: dict[str, None] = {}
        for place in self._places:
            if not place.exists():
                cure = "Give a file of weights, or the folder that it is in."
                raise UserError(f"there is no {str(place)!r}.", where="--weights", cure=cure)

    def __call__(self, wanted: WeightFile) -> FoundWeights:
        """Find a file; NotComputed, with what fetches it, if it is nowhere."""
        self._wanted[wanted.name] = None
        kept = (Path.home() / wanted.folder if wanted.folder else hub_folder()) / wanted.name
        places = [(place if place.is_file() else place / wanted.name, place) for place in self._places]
        candidates = [(path, place) for path, place in (*places, (kept, kept)) if path.is_file()]
        for path, place in sorted(candidates, key=lambda one: one[0].name != wanted.name):
            digest = _sha256(path)
            official = digest.startswith(wanted.sha256)
            if official or path.name == wanted.name:
                self._used.add(place)
                return FoundWeights(path, digest, official)
        command = wanted.command or f"curl -L --create-dirs -o {shlex.quote(str(kept))} {wanted.url}"
        raise NotComputed(
            f"it needs the weights {wanted.name} ({wanted.megabytes} MB), and they are not on this machine.",
            cure=f"Fetch them: {command} - or say where they are: --weights PATH.",
        )

    @property
    def unused(self) -> tuple[str, ...]:
        """A sentence for each given place that held nothing of what was asked for; none if nothing was."""
        names = " or ".join(self._wanted)
        return tuple(
            f"--weights {place} is not used: it {'holds no' if place.is_dir() else 'is not'} {names}."
            for place in self._places
            if names and place not in self._used
        )


def weights_in(given: Sequence[str | Path]) -> WeightsIn:
    """What finds weights in these files and folders; see `WeightsIn`."""
    return WeightsIn(given)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        cure = "Mend that, or give another file."
        raise UserError(f"it cannot be read: {error.strerror or error}.", where=str(path), cure=cure) from error
