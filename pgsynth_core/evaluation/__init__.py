"""Evaluation: how close pictures are to the truth, by which protocol, and the table of results. Floor 2.

Scores are of 8-bit pictures as they are stored, so that scoring a folder gives what scoring at once gave. Torch is
imported by the metrics and ways of resizing that use it, and by nothing else here.
"""

from __future__ import annotations

from pgsynth_core.data.weights import weights_in
from pgsynth_core.evaluation.earlier import Earlier
from pgsynth_core.evaluation.folder import FolderPairs, FolderPictures, Matched, find_photos, match
from pgsynth_core.evaluation.material import Bad, Looked, Material, Pictures, Reference, Shown
from pgsynth_core.evaluation.naming import NAMINGS
from pgsynth_core.evaluation.pairs import Listed, read_pairs
from pgsynth_core.evaluation.prepare import WHOLE, Cut, cut_of, resized
from pgsynth_core.evaluation.protocol import Bound, Choice, Protocol, bind, protocol_of
from pgsynth_core.evaluation.scoring import score
from pgsynth_core.evaluation.table import ImageScores, Measure, ScoreTable
from pgsynth_core.evaluation.yardstick import Yardstick

__all__ = [
    "NAMINGS",
    "WHOLE",
    "Bad",
    "Bound",
    "Choice",
    "Cut",
    "Earlier",
    "FolderPairs",
    "FolderPictures",
    "ImageScores",
    "Listed",
    "Looked",
    "Matched",
    "Material",
    "Measure",
    "Pictures",
    "Protocol",
    "Reference",
    "ScoreTable",
    "Shown",
    "Yardstick",
    "bind",
    "cut_of",
    "find_photos",
    "match",
    "protocol_of",
    "read_pairs",
    "resized",
    "score",
    "weights_in",
]
