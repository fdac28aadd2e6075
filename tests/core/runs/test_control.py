"""Wishes are files: seen by one look, taken back when granted, and never those of an earlier session."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pgsynth_core.errors import UserError
from pgsynth_core.runs import RunFolder, control, session


def test_a_wish_stands_until_it_is_granted(run: RunFolder) -> None:
    assert control.wishes(run) == frozenset()
    control.wish(run, "save")
    control.wish(run, "save")
    control.wish(run, "stop")
    assert control.wishes(run) == {"save", "stop"}
    control.grant(run, ["save", "sample"])
    assert control.wishes(run) == {"stop"} and control.is_wished(run, "stop")


def test_what_nobody_wishes_is_passed_over(run: RunFolder) -> None:
    (run.control / "stop it please").touch()
    control.mark_killed(run)
    assert control.wishes(run) == frozenset()


def test_no_folder_no_wishes_and_the_first_makes_it(run: RunFolder) -> None:
    run.control.rmdir()
    assert control.wishes(run) == frozenset()
    control.wish(run, "sample")
    assert control.wishes(run) == {"sample"}


def test_a_session_begins_without_the_wishes_of_the_last(run: RunFolder) -> None:
    for name in control.WISHES:
        control.wish(run, name)
    control.mark_killed(run)
    with session(run):
        assert control.wishes(run) == frozenset() and not control.was_killed(run)


def test_a_wish_that_cannot_be_left_is_told(run: RunFolder) -> None:
    with pytest.raises(UserError, match="the wish cannot be left"):
        control.wish(replace(run, path=run.spec_file), "stop")
