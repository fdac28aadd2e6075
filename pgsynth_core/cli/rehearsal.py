"""What ``pgsynth train --rehearse`` says: what was held, how fast it went, what is written, and that it loads again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pgsynth_core.cli.console import say
from pgsynth_core.cli.progress import duration
from pgsynth_core.cli.report import tell_warning
from pgsynth_core.runs.durable import amount
from pgsynth_core.spec import TrainSettings

if TYPE_CHECKING:
    from pgsynth_core.api.rehearsing import Rehearsal

__all__ = ["show_rehearsal"]


def show_rehearsal(found: Rehearsal, settings: TrainSettings) -> None:
    """Four rows on stdout, warnings on stderr.

    Args:
        found: The rehearsal.
        settings: Of the run that was rehearsed.
    """
    measured = "not told by this system" if found.peak_bytes is None else f"{amount(found.peak_bytes)} at the peak"
    copy = f"{amount(found.checkpoint_bytes)} more of this machine's own while a checkpoint is written"
    rows = {
        "memory": f"{measured}, estimated {amount(found.estimated_bytes)}; {copy}",
        "pace": f"{found.seconds_per_step:.3g} s a step, {duration(3600 * found.hours)} for {settings.steps} steps "
        "and their checkpoints with looks at unseen pairs; sheets, and what train.cache saves, not counted",
        "disk": f"{amount(found.checkpoint_bytes)} a checkpoint, at most {amount(found.needed_bytes)} in all, "
        f"{amount(found.free_bytes)} free",
        "loaded again": "the same losses, bit for bit"
        if found.difference == 0
        else f"the same losses but for rounding, {found.difference:.1e} of them",
    }
    say(f"rehearsed {found.steps} steps on {found.device}; no run was made")
    for name, text in rows.items():
        say(f"  {name:<14}{text}")
    for sentence in found.warnings():
        tell_warning(sentence)
