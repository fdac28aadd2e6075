"""The conformance kit: what every part must pass, first-party or not. Public; a part's own tests call it.

    from pgsynth_core.testing import check_part

    def test_conforms():
        check_part("encoder", "my_encoder").raise_if_failed()

Counts of ran, passed, failed and skipped are part of the report, and zero ran is a failure.
"""

from __future__ import annotations

from pgsynth_core.testing.around import Around, compose_around
from pgsynth_core.testing.kit import CHECKS, check_part
from pgsynth_core.testing.report import Outcome, Report

__all__ = ["CHECKS", "Around", "Outcome", "Report", "check_part", "compose_around"]
