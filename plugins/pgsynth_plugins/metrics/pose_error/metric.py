"""Error of the pose that a generated picture shows: its joints, found again, against those of the truth.

By an annotator that is installed; an error says nothing without who found the joints, so it is in the id. Two measures,
of Siarohin et al. (CVPR 2019), who call them average keypoint distance and missing keypoint rate:

    distance = mean over j in P and T of |p_j - t_j| / d        missing = |T without P| / |T|

with T and P the joints that are found in truth and prediction, t_j and p_j where. They give the distance in pixels; d,
the diagonal of the box around the truth's joints, makes it the same at any size of picture and person.

Reading: "against the target's" is against joints that the same annotator finds in the truth, never against given ones:
what it sees elsewhere than they were annotated is the same in both, and a folder of results comes without poses.

Of several people the first is taken, the most certain. With fewer than three joints in both pictures, or no extent
between those of the truth, a pair has no distance; without a joint in the truth, no share that is missing. Where the
prediction shows nobody, all joints are. Look at both: whoever draws nobody has no bad distance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from pgsynth_core.annotators import Joints, poses_of
from pgsynth_core.metrics import MetricContext, PairMetric, Picture
from pgsynth_plugins.metrics.pose_error import Config

__all__ = ["PoseError"]

_LEAST_JOINTS: Final = 3


class PoseError(PairMetric):
    """Error of the pose; 0 and up, where it counts joints to 1.

    Args:
        config: What is compared, and who finds it.
        context: Gives the annotator.

    Raises:
        NotComputed: If there is no such annotator, or several and none is named.
    """

    def __init__(self, config: Config, context: MetricContext) -> None:
        super().__init__(config, context)
        self._measure = config.measure
        self._annotator = context.annotator(config.annotator)
        self.libraries = tuple(dict.fromkeys(("numpy", *self._annotator.libraries)))

    @property
    def id(self) -> str:
        """The definition as one word."""
        what = "distance/box-diagonal" if self._measure == "distance" else "missing"
        return f"pose-error/{what}/first-person/by-{self._annotator.id}"

    @property
    def definition(self) -> str:
        """The definition in a sentence or two."""
        found = f"joints found by {self._annotator.id} in both pictures, the first person's"
        if self._measure == "missing":
            return f"Share of the truth's joints that the prediction does not show; {found}."
        return (
            f"Mean distance of the joints that prediction and truth show, over the diagonal of the box around the "
            f"truth's; {found}. Pairs with fewer than {_LEAST_JOINTS} such joints have no value."
        )

    def values(self, predicted: Sequence[Picture], truth: Sequence[Picture]) -> list[float | None]:
        """The error of each pair; None where there is too little to compare."""
        poses = [people[0] if people else _nobody() for people in poses_of(self._annotator, [*predicted, *truth])]
        of = _distance if self._measure == "distance" else _missing
        return [of(one, other) for one, other in zip(poses[: len(predicted)], poses[len(predicted) :], strict=True)]


def _nobody() -> Joints:
    return np.zeros((18, 3), np.float32)


def _distance(predicted: Joints, truth: Joints) -> float | None:
    seen = truth[:, 2] > 0
    both = seen & (predicted[:, 2] > 0)
    if both.sum() < _LEAST_JOINTS:
        return None
    diagonal = np.linalg.norm(np.ptp(truth[seen, :2].astype(np.float64), axis=0))
    apart = np.linalg.norm(predicted[both, :2].astype(np.float64) - truth[both, :2], axis=1)
    return float(apart.mean() / diagonal) if diagonal else None


def _missing(predicted: Joints, truth: Joints) -> float | None:
    seen = truth[:, 2] > 0
    return float((predicted[seen, 2] <= 0).mean()) if seen.any() else None
