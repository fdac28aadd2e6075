"""The kit over annotators: a good one passes, and each fault is found by the check that is for it."""

from __future__ import annotations

import pytest

from pgsynth_core.testing import check_part
from pgsynth_core.testing.kit import ANNOTATOR_CHECKS

from ...fixtures.fake_packages import FakePackages

PARTS = '''\
import numpy as np

from pgsynth_core.annotators import Annotator, PoseAnnotator


class Part(PoseAnnotator):
    """Finds one person, as bright as the photo."""

    libraries = ("numpy",)
    seen = 0

    @property
    def id(self):
        return "bright/1"

    def poses(self, photos):
        return [[self.person(photo, photos)] for photo in photos]

    def person(self, photo, photos):
        joints = np.full((18, 3), photo.mean() / 255, np.float32)
        joints[3] = 0
        return joints


class Wordy(Part):
    id = "two words"


class Wide(Part):
    def person(self, photo, photos):
        return np.ones((17, 3), np.float32)


class Sure(Part):
    def person(self, photo, photos):
        return np.full((18, 3), 7, np.float32)


class Placed(Part):
    def person(self, photo, photos):
        return np.float32([[5, 5, 0]] * 18)


class Neighbourly(Part):
    def person(self, photo, photos):
        return np.full((18, 3), 1 / len(photos), np.float32)


class Forgetful(Part):
    def person(self, photo, photos):
        Part.seen += 1
        return np.full((18, 3), 1 / Part.seen, np.float32)


class Painter(Part):
    def person(self, photo, photos):
        photo[:] = 0
        return super().person(photo, photos)


class Other(Annotator):
    """Finds something else."""

    id = "other/1"
'''
FORM, ALONE = "poses_have_the_documented_form", "a_photo_alone_has_the_same_poses"


def found(
    fake_packages: FakePackages, target: str, finds: str = "pose", only: tuple[str, ...] = ()
) -> dict[str, tuple[str, str]]:
    """Check -> status and reason, of an annotator."""
    part = (
        fake_packages.part("annotator", "x")
        .replace(".parts:Part", f".finding:{target}")
        .replace('["pose"]', f'["{finds}"]')
    )
    fake_packages.install(manifest=fake_packages.manifest("pgsynth-plugin-x", part), files={"finding.py": PARTS})
    report = check_part("annotator", "x", only=[check for check in ANNOTATOR_CHECKS if check.__name__ in only])
    return {outcome.check: (outcome.status, outcome.reason) for outcome in report.outcomes}


def test_a_good_one_passes(fake_packages: FakePackages) -> None:
    outcomes = found(fake_packages, "Part")
    wrong = {name: outcome for name, outcome in outcomes.items() if outcome[0] != "passed"}
    assert not wrong and len(outcomes) >= 14


@pytest.mark.parametrize(
    ("target", "check", "said"),
    [
        ("Wordy", "annotator_says_what_it_is", "is not one word"),
        ("Wide", FORM, "[17, 3]"),
        ("Sure", FORM, "a confidence is 7"),
        ("Placed", FORM, "without confidence has a place"),
        ("Neighbourly", ALONE, "other poses"),
        ("Forgetful", ALONE, "other poses"),
        ("Painter", "photos_stay_as_they_are", "changes the photos"),
        ("Other", "implements_its_kind", "is no PoseAnnotator"),
    ],
)
def test_a_fault_is_found(fake_packages: FakePackages, target: str, check: str, said: str) -> None:
    status, reason = found(fake_packages, target, only=(check,))[check]
    assert status == "failed" and said in reason


def test_what_finds_no_poses_is_checked_as_far_as_it_declares(fake_packages: FakePackages) -> None:
    outcomes = found(fake_packages, "Other", "parsing", ("implements_its_kind", FORM))
    assert outcomes["implements_its_kind"][0] == "passed"
    assert outcomes[FORM] == ("skipped", "what finds parsing is not checked")
