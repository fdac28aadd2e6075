"""The rules about label sets: everything that knows what a region's index means must mean the same."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from pgsynth_core.axes import LABEL_SETS
from pgsynth_core.contract.changes import Change, leave_out, with_option
from pgsynth_core.contract.cures import Clinic, Cure, Finding, listed, one_of
from pgsynth_core.contract.plan import Placed
from pgsynth_core.contract.view import View
from pgsynth_core.errors import suggestion

__all__ = ["unknown_labels", "unlike_labels"]

_OPTION: Final = "label_set"

Labellers = tuple[tuple[Placed, str], ...]


def unknown_labels(view: View) -> Iterator[Finding]:
    """Label sets that core does not know: nobody could say how many regions there are."""
    for part, name in view.labellers:
        if name not in LABEL_SETS:
            message = f"{part.label} has the label set {name!r}, which is none that pgsynth knows."
            yield Finding(("labels unknown", part.key), message, partial(_cure_unknown, part, name), (part,))


def _cure_unknown(part: Placed, name: str, clinic: Clinic) -> Cure:
    working = tuple(clinic.working(_relabelled(clinic, part, tuple(LABEL_SETS))))
    known = suggestion(name, tuple(LABEL_SETS), what="label sets")
    return Cure(f"{known} Set {one_of(working)}." if working else known, working)


def unlike_labels(view: View) -> Iterator[Finding]:
    """Datasets, and parts made for one label set, that do not agree. Parts without one work on any."""
    by_set = _by_set(view.labellers)
    if len(by_set) > 1:
        said = "; ".join(f"{listed(part.label for part in parts)}: {name}" for name, parts in by_set.items())
        message = f"the parsing has more than one label set here ({said}), and a composition has one."
        parts = tuple(part for part, _ in view.labellers)
        yield Finding(("labels",), message, partial(_cure_unlike, view.labellers), parts)


def _by_set(labellers: Labellers) -> dict[str, list[Placed]]:
    found: dict[str, list[Placed]] = {}
    for part, name in labellers:
        found.setdefault(name, []).append(part)
    return found


def _relabelled(clinic: Clinic, part: Placed, names: tuple[str, ...]) -> Iterator[Change]:
    option = part.component.options.get(_OPTION)
    if option is None:
        return
    for name in names:
        if name in (option.choices or names) and name != part.options.get(_OPTION):
            yield with_option(clinic.plan, part, _OPTION, name)


def _cure_unlike(labellers: Labellers, clinic: Clinic) -> Cure:
    by_set = _by_set(labellers)
    changes = (change for part, _ in labellers for change in _relabelled(clinic, part, tuple(by_set)))
    changed = tuple(clinic.working(changes))
    left = tuple(clinic.working(leave_out(clinic.plan, *parts) for parts in reversed(by_set.values())))
    text = f"Set {one_of(changed)}." if changed else ""
    text += f" Leave one out: {one_of(left)}." if left else ""
    return Cure(text.strip() or "Take parts and a dataset of one label set.", (*changed, *left))
