"""Packages that add panels."""

from __future__ import annotations

from ..fixtures.fake_packages import fake_packages

__all__ = ["fake_packages"]
