"""What `figures` says about its pictures is true: joints lie on their parts, labels cover the person, sides hold."""

from __future__ import annotations

import numpy as np
import pytest

from pgsynth_core.data import JOINTS, LABELS, flip_keypoints, present
from pgsynth_plugins.datasets.figures.chance import Chance
from pgsynth_plugins.datasets.figures.figure import Figure, draw_traits, make_figure
from pgsynth_plugins.datasets.figures.painter import Picture, Shot, paint
from pgsynth_plugins.datasets.figures.poses import VIEWS, draw_pose, mirrored
from pgsynth_plugins.datasets.figures.render.backdrop import draw_backdrop
from pgsynth_plugins.datasets.figures.stances import STANCES, Pose

ATR = LABELS["atr18"]
PEOPLE = range(12)


def label(*names: str) -> set[int]:
    return {ATR.index(name) for name in names}


def somebody(number: int) -> Figure:
    return make_figure(draw_traits(Chance("truth", number)))


@pytest.fixture(scope="module")
def people() -> list[Figure]:
    return [somebody(number) for number in PEOPLE]


def picture(figure: Figure, pose: Pose, height: int = 192, width: int = 132, kind: str = "plain") -> Picture:
    backdrop = draw_backdrop(Chance("wall"), "plain" if kind == "plain" else "varied")
    return paint(figure, Shot(pose=pose, backdrop=backdrop), height, width)


def drawn(number: int) -> Pose:
    return draw_pose(Chance("pose", number), VIEWS)


def at(picture: Picture, joint: str) -> int:
    """The label under a joint; -1 if the joint is missing."""
    x, y, confidence = picture.keypoints[JOINTS[joint]]
    return int(picture.parsing[int(y), int(x)]) if confidence > 0.0 else -1


BODY = label("upper-clothes", "dress", "bag", "scarf", "hair", "left-arm", "right-arm", "face")
LOWER = label(
    "pants", "skirt", "dress", "upper-clothes", "bag", "belt", "left-leg", "right-leg", "left-arm", "right-arm"
)


def ours(side: str) -> dict[str, set[int]]:
    """Labels that may lie under a joint that is seen, in any outfit; nothing of the other side's skin or shoes."""
    other = "right" if side == "left" else "left"
    sleeve, leg = (
        label("upper-clothes", "dress", f"{side}-arm"),
        label("pants", "skirt", "dress", f"{side}-leg", f"{side}-shoe"),
    )
    coat = label("upper-clothes")
    return {
        "shoulder": BODY - label(f"{other}-arm"),
        "elbow": sleeve | label("bag"),
        "wrist": sleeve | label("bag"),
        "hip": LOWER,
        "knee": leg | coat,
        "ankle": leg,
    }


@pytest.mark.parametrize("view", [0.0, 40.0, -40.0, 180.0, 150.0])
def test_joints_lie_on_their_own_parts_from_every_side(people: list[Figure], view: float) -> None:
    for figure in people:
        painted = picture(figure, Pose(yaw=view))
        for side in ("left", "right"):
            for joint, allowed in ours(side).items():
                assert at(painted, f"{side}-{joint}") in allowed | {-1}, (figure.traits.outfit, side, joint)


def test_joints_lie_on_the_person_in_drawn_poses(people: list[Figure]) -> None:
    seen = off = 0
    for number in range(60):
        painted = picture(people[number % len(people)], drawn(number))
        for x, y, confidence in painted.keypoints:
            if confidence > 0.0:
                seen += 1
                off += not _grown(painted.parsing > 0)[int(y), int(x)]
    assert seen > 800 and off == 0, f"{off} of {seen} joints lie beside the person"


@pytest.mark.parametrize("yaw", [-70.0, -35.0, 0.0, 35.0, 70.0])
def test_from_the_front_the_left_is_on_the_right_of_the_picture(people: list[Figure], yaw: float) -> None:
    for figure in people[:4]:
        points = picture(figure, Pose(yaw=yaw)).keypoints
        for joint in ("shoulder", "elbow", "hip", "knee"):
            left, right = points[JOINTS[f"left-{joint}"]], points[JOINTS[f"right-{joint}"]]
            assert left[0] > right[0] or 0.0 in (left[2], right[2])


@pytest.mark.parametrize("yaw", [110.0, 145.0, 180.0, -145.0, -110.0])
def test_from_behind_the_left_is_on_the_left_and_there_is_no_face(people: list[Figure], yaw: float) -> None:
    for figure in people[:4]:
        points = picture(figure, Pose(yaw=yaw)).keypoints
        for joint in ("shoulder", "hip"):
            assert points[JOINTS[f"left-{joint}"], 0] < points[JOINTS[f"right-{joint}"], 0]
        for joint in ("nose", "left-eye", "right-eye"):
            assert points[JOINTS[joint], 2] == 0.0 or abs(yaw) < 120.0


def test_a_profile_shows_one_eye_and_one_ear(people: list[Figure]) -> None:
    to_the_right = present(picture(people[0], Pose(yaw=90.0)).keypoints)  # facing right: the right side is near
    shown = [to_the_right[JOINTS[f"{side}-{joint}"]] for joint in ("eye", "ear") for side in ("right", "left")]
    assert shown == [True, False, True, False]
    to_the_left = present(picture(people[0], Pose(yaw=-90.0)).keypoints)
    assert [to_the_left[JOINTS[f"{side}-{joint}"]] for joint in ("eye", "ear") for side in ("right", "left")] == [
        False,
        True,
        False,
        True,
    ]


def test_an_arm_behind_the_back_loses_its_wrist_and_an_infered_joint_is_less_sure(people: list[Figure]) -> None:
    side = picture(people[0], Pose(yaw=90.0)).keypoints
    assert side[JOINTS["right-shoulder"], 2] == 1.0 and side[JOINTS["left-shoulder"], 2] == 0.5
    assert side[JOINTS["right-wrist"], 2] == 1.0 and side[JOINTS["left-wrist"], 2] == 0.0
    assert set(np.unique(side[:, 2])) <= {0.0, 0.5, 1.0}


def test_the_mirrored_pose_of_a_symmetric_person_is_the_mirrored_picture() -> None:
    """Left and right hold for every stance: of somebody who wears nothing one-sided, joints mirror exactly."""
    figure = somebody(3)
    assert not figure.traits.outfit.bag
    for stance in STANCES.values():
        one, other = picture(figure, stance), picture(figure, mirrored(stance))
        expected = flip_keypoints(other.keypoints, 132)
        both = present(one.keypoints) & present(expected)
        assert both.sum() >= 12
        assert np.abs(one.keypoints[both] - expected[both])[:, :2].max() < 0.05


# ------------------------------------------------------------------ parsing
@pytest.mark.parametrize("kind", ["plain", "varied"])
def test_the_picture_differs_from_the_empty_one_exactly_where_there_are_labels(people: list[Figure], kind: str) -> None:
    for number, figure in enumerate(people):
        painted = picture(figure, drawn(number), kind=kind)
        differs = (painted.image != painted.empty).any(axis=2)
        person = painted.parsing > 0
        assert set(np.unique(painted.parsing)) <= set(range(18))
        missed = differs & ~_grown(person)  # a tip of hair narrower than a pixel has no label
        assert missed.sum() <= 0.002 * person.sum(), "paint further than one pixel from every label"
        # cloth of the very colour of the wall is no failure of the labels
        assert (person & ~differs).sum() <= 0.01 * person.sum()
        assert 0.03 < person.mean() < 0.6


def _grown(mask: np.ndarray) -> np.ndarray:
    padded = np.pad(mask, 1)
    rows, columns = mask.shape
    return np.logical_or.reduce([padded[i : i + rows, j : j + columns] for i in range(3) for j in range(3)])


def test_the_whole_body_is_in_the_picture_with_a_margin(people: list[Figure]) -> None:
    for number in range(40):
        parsing = picture(people[number % len(people)], drawn(number)).parsing
        edge = np.concatenate([parsing[0], parsing[-1], parsing[:, 0], parsing[:, -1]])
        assert not edge.any()


def test_a_person_keeps_its_colours_in_every_pose(people: list[Figure]) -> None:
    """Median colour of each garment, over front views: light changes with the pose, cloth does not."""
    for figure in people[:6]:
        by_label: dict[int, list[np.ndarray]] = {}
        for stance in ("stand", "hands on hips", "wide"):
            painted = picture(figure, STANCES[stance], 256, 176)
            for number in np.unique(painted.parsing[painted.parsing > 0]):
                where = painted.parsing == number
                if where.sum() >= 200:
                    by_label.setdefault(int(number), []).append(painted.image[where].astype(float).mean(axis=0))
        assert len(by_label) >= 3
        for number, means in by_label.items():
            assert max(np.abs(mean - means[0]).max() for mean in means) < 24, ATR.names[number]


@pytest.mark.parametrize(("height", "width"), [(32, 24), (33, 21), (47, 64), (128, 64), (176, 256), (96, 96)])
def test_any_size_shows_the_same_picture(people: list[Figure], height: int, width: int) -> None:
    figure = people[1]
    painted = picture(figure, drawn(5), height, width)
    assert painted.image.shape == (height, width, 3) and painted.parsing.shape == (height, width)
    double = picture(figure, drawn(5), 2 * height, 2 * width)
    both = present(painted.keypoints) & present(double.keypoints)
    assert both.sum() >= 10
    assert np.abs(double.keypoints[both, :2] / 2.0 - painted.keypoints[both, :2]).max() < 1e-3
    smaller = double.image.reshape(height, 2, width, 2, 3).astype(float).mean(axis=(1, 3))
    assert np.abs(smaller - painted.image).mean() < 4.0
