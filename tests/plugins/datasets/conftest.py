"""What the tests of datasets share: people made by code, and real photos where they are."""

from __future__ import annotations

from ...fixtures.people import person, shared

__all__ = ["person", "shared"]
