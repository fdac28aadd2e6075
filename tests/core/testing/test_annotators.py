"""The kit over annotators: a good one passes, and each fault is found by the check that is for it."""

from __future__ import annotations

import pytest

from pgsynth_core.testing import check_part
from pgsynth_core.testing.kit import ANNOTATOR_CHECKS

from ...fixtures.fake_packages import FakePackages

PARTS = '''\
import numpy as np

from pgsynth_core.annotators import Annotator, ParsingAnnotator, PoseAnnotator


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


class Labels(ParsingAnnotator):
    """Label 1 where it is bright."""

    id = "labels/1"
    label_set = "atr18"

    def parsings(self, photos):
        return [self.labels(photo, photos) for photo in photos]

    def labels(self, photo, photos):
        return (photo.mean(axis=2) > 127).astype(np.uint8)


class Both(Labels, Part):
    """Finds both."""


class Narrow(Labels):
    def labels(self, photo, photos):
        return super().labels(photo, photos)[:, 1:]


class High(Labels):
    def labels(self, photo, photos):
        return np.full(photo.shape[:2], 18, np.uint8)


class Lost(Labels):
    def parsings(self, photos):
        return []


class Unheard(Labels):
    label_set = "atr"


class Otherwise(Labels):
    label_set = "lip20"


class Sociable(Labels):
    def labels(self, photo, photos):
        return np.full(photo.shape[:2], len(photos), np.uint8)


class Inker(Labels):
    def labels(self, photo, photos):
        photo[:] = 0
        return super().labels(photo, photos)
'''
FORM, ALONE = "poses_have_the_documented_form", "a_photo_alone_has_the_same_poses"
MAPS, MAP_ALONE = "label_maps_have_the_documented_form", "a_photo_alone_has_the_same_labels"


def found(
    fake_packages: FakePackages, target: str, finds: str = '"pose"', only: tuple[str, ...] = ()
) -> dict[str, tuple[str, str]]:
    """Check -> status and reason, of an annotator."""
    part = (
        fake_packages.part("annotator", "x", more='label_set = "atr18"\n' if "parsing" in finds else "")
        .replace(".parts:Part", f".finding:{target}")
        .replace('["pose"]', f"[{finds}]")
    )
    fake_packages.install(manifest=fake_packages.manifest("pgsynth-plugin-x", part), files={"finding.py": PARTS})
    report = check_part("annotator", "x", only=[check for check in ANNOTATOR_CHECKS if check.__name__ in only])
    return {outcome.check: (outcome.status, outcome.reason) for outcome in report.outcomes}


def test_a_good_one_passes(fake_packages: FakePackages) -> None:
    outcomes = found(fake_packages, "Part")
    wrong = {name: outcome for name, outcome in outcomes.items() if outcome[0] != "passed"}
    assert wrong == dict.fromkeys((MAPS, MAP_ALONE), ("skipped", "it finds no label maps")) and len(outcomes) >= 16


def test_good_label_maps_pass_and_both_together(fake_packages: FakePackages) -> None:
    outcomes = found(fake_packages, "Labels", '"parsing"')
    wrong = {name: outcome for name, outcome in outcomes.items() if outcome[0] != "passed"}
    assert wrong == dict.fromkeys((FORM, ALONE), ("skipped", "it finds no poses"))


def test_who_finds_both_is_checked_for_both(fake_packages: FakePackages) -> None:
    outcomes = found(fake_packages, "Both", '"pose", "parsing"')
    assert {status for status, _ in outcomes.values()} == {"passed"}


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


@pytest.mark.parametrize(
    ("target", "check", "said"),
    [
        ("Narrow", MAPS, "as large as its photo, uint8 [96, 64], and it gave uint8 [96, 63]"),
        ("High", MAPS, "18 is no label of atr18 (0 to 17)"),
        ("Lost", MAPS, "of 3 photos it gave the label maps of 0"),
        ("Unheard", MAPS, "Did you mean 'atr18'?"),
        ("Otherwise", MAPS, "label_set = 'atr18' in the manifest, and 'lip20' in the class"),
        ("Sociable", MAP_ALONE, "other labels"),
        ("Inker", "photos_stay_as_they_are", "changes the photos"),
        ("Part", "implements_its_kind", "is no ParsingAnnotator"),
    ],
)
def test_a_fault_of_label_maps_is_found(fake_packages: FakePackages, target: str, check: str, said: str) -> None:
    status, reason = found(fake_packages, target, '"parsing"', only=(check,))[check]
    assert status == "failed" and said in reason, reason
