"""Evaluation: how close pictures are to the truth, and the table of results. Floor 2, no torch.

Scores are of 8-bit pictures as they are stored, so that scoring a folder gives what scoring at once gave.
"""

from __future__ import annotations

from pgsynth_core.evaluation.measures import MEASURES, Measure
from pgsynth_core.evaluation.scores import Compared, score_pairs
from pgsynth_core.evaluation.table import ImageScores, ScoreTable

__all__ = ["MEASURES", "Compared", "ImageScores", "Measure", "ScoreTable", "score_pairs"]
