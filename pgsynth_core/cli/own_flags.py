"""The flags that every command over photos of one's own has: how they are shown to a method, and who looks at them."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from pgsynth_core.cli.arguments import one_of

if TYPE_CHECKING:
    from pgsynth_core.api.own import Framing
    from pgsynth_core.api.own_reading import Looking
    from pgsynth_core.data.window import Window
    from pgsynth_core.registry import Registry

__all__ = ["add_frame", "add_framing", "add_looking", "framing_of", "looking_of", "window_facts"]

_FRAMES: Final = ("auto", "person", "whole")
_RETARGETS: Final = ("auto", "on", "off")
_FITS: Final = ("squash", "pad", "crop")


def add_frame(group: Any) -> None:
    """Add ``--frame`` to a group of flags."""
    group.add_argument("--frame", metavar="HOW", type=one_of(_FRAMES, "frame", "frames"), help="auto, person or whole")


def add_framing(group: Any) -> None:
    """Add ``--frame``, ``--retarget`` and ``--fit``."""
    add_frame(group)
    group.add_argument(
        "--retarget", metavar="WHEN", type=one_of(_RETARGETS, "answer", "answers"), help="auto, on or off; see below"
    )
    group.add_argument(
        "--fit", metavar="HOW", type=one_of(_FITS, "fit", "fits"), help=f"whole photos: {', '.join(_FITS)}"
    )


def add_looking(group: Any) -> None:
    """Add ``--person`` and ``--annotator``."""
    group.add_argument("--person", metavar="WHO", help="of several people in a photo or file")
    group.add_argument("--annotator", metavar="NAME[.OPTION=VALUE]", action="append", default=[], help="who looks")


def framing_of(arguments: argparse.Namespace) -> Framing:
    """What the flags of `add_framing` say."""
    from pgsynth_core.api.own import Framing  # numpy

    return Framing(arguments.frame or "auto", arguments.retarget or "auto", arguments.fit)


def looking_of(arguments: argparse.Namespace, registry: Registry, tell: Callable[[str], None]) -> Looking:
    """Who looks at photos, as the flags of `add_looking` and ``--device`` say.

    Raises:
        UserError: If ``--person`` says nobody, or ``--annotator`` names none.
    """
    from pgsynth_core.api.annotating import named_annotators
    from pgsynth_core.api.own_reading import Looking  # numpy
    from pgsynth_core.data.people import require_person_rule

    person = arguments.person or "most-certain"
    require_person_rule(person, where="--person")
    named_annotators(registry, arguments.annotator)
    return Looking(registry, tuple(arguments.annotator), person, arguments.device or "", tell)


def window_facts(window: Window | None) -> dict[str, int] | None:
    """A window as it is written into a stamp."""
    return None if window is None else asdict(window)
