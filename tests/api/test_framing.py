"""`Framing`, by which Python says how a person is shown to a method: public, and wrong words are refused at once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import pgsynth_core
import pgsynth_core.api
from pgsynth_core.api.own import Framing
from pgsynth_core.errors import UserError


def test_it_is_found_where_load_is() -> None:
    assert pgsynth_core.Framing is pgsynth_core.api.Framing is Framing
    assert "Framing" in pgsynth_core.__all__ and "Framing" in pgsynth_core.api.__all__


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"frame": "persn"}, ["there is no frame 'persn'", "Did you mean 'person'?", "auto, person, whole"]),
        ({"retarget": "always"}, ["there is no retarget 'always'", "auto, on, off"]),
        ({"retarget": True}, ["there is no retarget True"]),
        ({"fit": "sqash"}, ["there is no fit 'sqash'", "Did you mean 'squash'?"]),
        ({"frame": None, "fit": "x"}, ["there is no frame None", "there is no fit 'x'"]),
    ],
)
def test_a_wrong_word_is_refused_with_the_nearest(words: dict[str, Any], expected: list[str]) -> None:
    given = SimpleNamespace(**{"frame": "auto", "retarget": "auto", "fit": None, **words})
    with pytest.raises(UserError) as refused:
        Framing.__post_init__(given)  # type: ignore[arg-type]  # tests check types, and would not let it get there
    assert all(word in str(refused.value) for word in expected), refused.value


def test_a_word_in_its_place_is_told_how_to_be_written() -> None:
    assert Framing.of(None) == Framing() and Framing.of(Framing("whole")).frame == "whole"
    with pytest.raises(UserError, match=r"'person' is a str, and no Framing\. Write e\.g\. framing=Framing\(frame="):
        Framing.of("person")
