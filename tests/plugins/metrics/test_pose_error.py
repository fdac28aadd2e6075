"""Error of the pose: of joints that a stand-in finds, against the definition written out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from pgsynth_core.annotators import Joints, Photo, PoseAnnotator
from pgsynth_core.errors import PartError
from pgsynth_core.metrics import MetricContext, NotComputed
from pgsynth_plugins.metrics.pose_error import Config
from pgsynth_plugins.metrics.pose_error.metric import PoseError


class Given(PoseAnnotator):
    """Finds what it was told of the picture whose first value is the index."""

    libraries = ("numpy", "pillow")

    def __init__(self, people: Sequence[Sequence[np.ndarray]]) -> None:
        self.people = people

    @property
    def id(self) -> str:
        return "given/1"

    def poses(self, photos: Sequence[Photo]) -> Sequence[Sequence[Joints]]:
        return [self.people[photo[0, 0, 0]] for photo in photos]


def person(seed: int, *missing: int) -> Joints:
    joints = np.random.default_rng(seed).uniform(1, 60, (18, 3)).astype(np.float32)
    joints[:, 2] = 0.9
    joints[list(missing)] = 0
    return joints


def pixels(index: int) -> Photo:
    return np.full((8, 8, 3), index, np.uint8)


def built(people: Sequence[Sequence[np.ndarray]], **options: str) -> PoseError:
    asked: list[str] = []

    def annotator(name: str) -> PoseAnnotator:
        asked.append(name)
        return Given(people)

    made = PoseError(Config(**options), MetricContext(label="pose_error", annotator=annotator))  # type: ignore[arg-type]
    assert asked == [options.get("annotator", "")]
    return made


def test_it_is_the_mean_distance_over_the_diagonal_of_the_truths_joints() -> None:
    predicted, truth = person(0, 3, 4), person(1, 4, 17)
    (found,) = built([[predicted], [truth]]).values([pixels(0)], [pixels(1)])
    seen = [joint for joint in range(18) if joint not in (4, 17)]
    width, height = (np.ptp(truth[seen, axis]) for axis in (0, 1))
    apart = [np.hypot(*(predicted[joint, :2] - truth[joint, :2])) for joint in seen if joint != 3]
    assert found == pytest.approx(np.mean(apart) / np.hypot(width, height), rel=1e-5)


def test_it_is_the_same_at_any_scale_and_nothing_for_the_truth_itself() -> None:
    people = [[person(0)], [person(1)], [person(0) * [3, 3, 1]], [person(1) * [3, 3, 1]]]
    of = built([[one.astype(np.float32) for one in some] for some in people])
    small, large, itself = of.values([pixels(0), pixels(2), pixels(1)], [pixels(1), pixels(3), pixels(1)])
    assert small == pytest.approx(large, rel=1e-5) and itself == 0


def test_lost_joints_are_counted_by_the_other_measure() -> None:
    people = [[person(0, 0, 1, 2)], [person(1, 2, 3)], []]
    of = built(people, measure="missing")
    assert of.values([pixels(0), pixels(2), pixels(0)], [pixels(1), pixels(1), pixels(2)]) == [2 / 16, 1.0, None]


def test_where_too_little_is_seen_there_is_no_distance() -> None:
    few, one_place = person(1, *range(2, 18)), np.tile(np.float32([5, 5, 1]), (18, 1))
    people = [[person(0)], [few], [], [one_place]]
    of = built(people)
    pairs = [(0, 1), (1, 0), (0, 2), (2, 0), (0, 3)]
    assert of.values([pixels(one) for one, _ in pairs], [pixels(other) for _, other in pairs]) == [None] * 5


def test_of_several_people_the_first_is_taken() -> None:
    people = [[person(0), person(1)], [person(1), person(0)]]
    (found,) = built(people).values([pixels(0)], [pixels(1)])
    (alone,) = built([[person(0)], [person(1)]]).values([pixels(0)], [pixels(1)])
    assert found == alone and found


def test_who_found_the_joints_is_in_the_id() -> None:
    of, lost = built([], annotator="given"), built([], measure="missing")
    assert of.id == "pose-error/distance/box-diagonal/first-person/by-given/1" != lost.id
    assert of.libraries == ("numpy", "pillow") and "given/1" in of.definition and "given/1" in lost.definition
    with pytest.raises(NotComputed, match="needs an annotator"):
        PoseError(Config(), MetricContext(label="pose_error"))


@pytest.mark.parametrize(
    ("people", "said"),
    [
        ([[person(0)], [np.zeros((17, 3), np.float32)]], r"float32 \[17, 3\]"),
        ([[person(0)], [np.zeros((18, 3))]], r"float64 \[18, 3\]"),
        ([[person(0)], [np.full((18, 3), np.nan, np.float32)]], "not finite"),
    ],
)
def test_what_is_no_pose_is_told_of_the_annotator(people: list[list[np.ndarray]], said: str) -> None:
    with pytest.raises(PartError, match=f"given/1.*{said}"):
        built(people).values([pixels(0)], [pixels(1)])


def test_too_few_poses_are_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Given, "poses", lambda self, photos: [[person(0)]])
    with pytest.raises(PartError, match="of 2 photos it gave the poses of 1"):
        built([]).values([pixels(0)], [pixels(1)])
