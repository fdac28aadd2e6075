"""The window around a person in a photo, and back: proportions, joints, edges."""

from __future__ import annotations

import numpy as np
import pytest

from pgsynth_core.data.fit import PADDING
from pgsynth_core.data.keypoints import no_keypoints, present
from pgsynth_core.data.records import Keypoints, Person
from pgsynth_core.data.window import Window, window_around

SIZE = (256, 176)


def standing(x: float, top: float, height: float) -> Keypoints:
    """Nose, hip and ankle below each other, and the wrists at both sides."""
    joints = no_keypoints()
    for joint, (across, down) in {0: (0, 0), 4: (-0.2, 0.5), 7: (0.2, 0.5), 8: (0, 0.5), 10: (0, 1)}.items():
        joints[joint] = x + across * height, top + down * height, 1
    return joints


@pytest.mark.parametrize(("x", "height"), [(120, 300), (480, 60), (10, 200), (5, 900)])
def test_it_holds_the_person_in_the_methods_proportions(x: float, height: float) -> None:
    joints = standing(x, 40, height)
    window = window_around(joints, SIZE, of=(480, 500))
    assert abs(window.width - window.height * SIZE[1] / SIZE[0]) <= 0.5
    moved = window.joints(joints)
    inside = moved[present(joints), :2]
    assert (inside >= 0).all() and (inside <= [window.width, window.height]).all()
    assert moved[0, 1] >= 0.05 * window.height  # there is room for the hair
    assert np.allclose(window.joints_back(moved), joints, atol=1e-3) and not moved[~present(joints)].any()


def test_without_a_joint_there_is_no_window() -> None:
    with pytest.raises(ValueError, match="no joint"):
        window_around(no_keypoints(), SIZE, of=(10, 10))


def test_cut_and_back_is_the_photo() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    labels = photo[..., 0] % 18
    person = Person("a", photo, standing(50, 5, 30), labels)
    for window in (Window(5, 3, 20, 14), Window(-6, -4, 60, 90), Window(50, 30, 30, 20), Window(70, 0, 8, 8)):
        cut = window.cut(person)
        assert cut.image.shape == (window.height, window.width, 3) and cut.parsing is not None
        assert cut.parsing.shape == (window.height, window.width)
        assert (window.back(cut.image, photo) == photo).all()
    past = Window(-6, -4, 10, 10).cut(person)
    assert past.parsing is not None
    assert (past.image[:4] == PADDING).all() and (past.image[:, :6] == PADDING).all() and not past.parsing[:4].any()
    assert (past.image[4:, 6:] == photo[:6, :4]).all()


def test_a_picture_goes_back_to_its_place_alone() -> None:
    photo = np.zeros((40, 60, 3), np.uint8)
    whole = Window(-2, 10, 20, 12).back(np.full((256, 176, 3), 200, np.uint8), photo)
    assert (whole[10:30, :10] == 200).all() and whole.sum() == 200 * 3 * 20 * 10 and not photo.any()
