"""The conformance kit: what every part must pass, first-party or not. Public; a part's own tests call it.

    from pgsynth_core.testing import check_part

    def test_conforms():
        check_part("encoder", "my_encoder").raise_if_failed()

Counts of ran, passed, failed and skipped are part of the report, and zero ran is a failure. ``pgsynth plugins check``
runs the same checks in a process of their own (`check_isolated`), where nothing that a part does can end or halt them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

from pgsynth_core.testing.isolated import check_isolated
from pgsynth_core.testing.presets import check_preset
from pgsynth_core.testing.report import Outcome, Report

if TYPE_CHECKING:
    from pgsynth_core.testing.around import Around as Around
    from pgsynth_core.testing.around import compose_around as compose_around
    from pgsynth_core.testing.kit import CHECKS as CHECKS
    from pgsynth_core.testing.kit import check_part as check_part
    from pgsynth_core.testing.kit import checks_of as checks_of

__all__ = [
    "CHECKS",
    "Around",
    "Outcome",
    "Report",
    "check_isolated",
    "check_part",
    "check_preset",
    "checks_of",
    "compose_around",
]

_WITH_TORCH: Final = {"Around": "around", "compose_around": "around"} | dict.fromkeys(
    ("CHECKS", "check_part", "checks_of"), "kit"
)
"""Imported when they are first asked for: whoever runs the kit in another process needs no torch in this one."""


def __getattr__(name: str) -> object:
    if name in _WITH_TORCH:
        return getattr(importlib.import_module(f"{__name__}.{_WITH_TORCH[name]}"), name)
    raise AttributeError(f"{__name__} has no {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)
