"""The conformance kit over every attention processor; every other part is in `test_every_part`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from pgsynth_core.registry import Entry

from ..fixtures.first_party import cases, conforms


@pytest.mark.parametrize(("entry", "options"), cases({"attention"}))
def test_conforms(entry: Entry, options: Mapping[str, Any]) -> None:
    conforms(entry, options)
