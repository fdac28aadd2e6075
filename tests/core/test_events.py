"""The hooks a package may implement, as pluggy sees them."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pluggy
import pytest

from pgsynth_core import events
from pgsynth_core.events import HOOK_NAMES, PROJECT, Events, hookimpl


def test_every_hook_is_a_spec_and_returns_nothing() -> None:
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Events)
    assert HOOK_NAMES == ("composed", "before_step", "after_step", "checkpoint_saved", "sampled", "evaluated")
    for name in HOOK_NAMES:
        assert manager.parse_hookspec_opts(Events, name), name
        assert inspect.signature(getattr(Events, name)).return_annotation == "None"


@pytest.mark.parametrize("name", HOOK_NAMES)
def test_every_hook_says_when_and_what_it_may_not_do(name: str) -> None:
    said = inspect.getdoc(getattr(Events, name)) or ""
    assert said.startswith("Called ")
    assert "May not" in said or "may not" in said or "does not enter" in said
    for argument in list(inspect.signature(getattr(Events, name)).parameters)[1:]:
        assert f"    {argument}: " in said


def test_the_marker_marks_for_our_project() -> None:
    class Told:
        """An implementation."""

        @hookimpl
        def after_step(self, step: int) -> None:
            """Takes fewer arguments than there are."""

    manager = pluggy.PluginManager(PROJECT)
    assert manager.parse_hookimpl_opts(Told(), "after_step") is not None


def test_the_public_names_are_these() -> None:
    assert events.__all__ == ["HOOK_NAMES", "PROJECT", "Events", "hookimpl"]


def test_no_torch_is_needed() -> None:
    script = "import sys; import pgsynth_core.events, pgsynth_core.hooks; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)
