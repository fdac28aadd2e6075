"""Blind preference studies: the questionnaire that raters see, the key that they do not, and what came of it.

`page` writes both, `answers` reads what raters send back, `tally` counts it, `text` says it. No torch.
"""

from __future__ import annotations

from pgsynth_core.reports.study.answers import Rated, read_answers
from pgsynth_core.reports.study.key import KEY, PAGE, Key, Question, read_key
from pgsynth_core.reports.study.tally import Share, Tally, tally
from pgsynth_core.reports.study.text import FORMS, lines, percent, tally_facts, tally_text

__all__ = [
    "FORMS",
    "KEY",
    "PAGE",
    "Key",
    "Question",
    "Rated",
    "Share",
    "Tally",
    "lines",
    "percent",
    "read_answers",
    "read_key",
    "tally",
    "tally_facts",
    "tally_text",
]
