"""The checks of datasets: an honest one passes all, each liar fails the check that its lie is about."""

from __future__ import annotations

import pytest

from pgsynth_core.registry import discover
from pgsynth_core.testing import Report, check_part
from pgsynth_core.testing.datasets import contract_fits
from pgsynth_core.testing.kit import DATASET_CHECKS
from pgsynth_core.testing.state import keeps_to_itself

from ...fixtures.fake_packages import FakePackages, fake_packages, top_level

__all__ = ["fake_packages"]

NAME = "pgsynth-plugin-pictures"

CONFIG = """\
from pgsynth_core.options import PartConfig


class Config(PartConfig):
    pass
"""

MODEL = '''\
"""Six pairs of grey pictures."""
import pathlib

import numpy as np

from pgsynth_core.data import Dataset, Pair, Person
from pgsynth_core.errors import UserError

built = []


class Part(Dataset):
    """Grey pictures."""

    label_set = "atr18"

    def __init__(self, config, build):
        super().__init__(config, build)
        built.append(self)
        self.asked = 0
        # built

    def __len__(self):
        return 6

    def name(self, index):
        if not 0 <= index < 6:
            raise IndexError(index)
        return f"pair-{index}"

    def person(self, name):
        if name not in self.people():
            raise KeyError(name)
        image = np.full((20, 10, 3), int(name.removeprefix("photo-")), np.uint8)
        joints = np.zeros((18, 3), np.float32)
        joints[0] = 5, 5, 1
        return Person(name=name, image=image, keypoints=joints, parsing=np.zeros((20, 10), np.uint8))

    def pair(self, index):
        name = self.name(index)
        self.asked += 1
        # asked
        return Pair(name, self.person(f"photo-{index}"), self.person(f"photo-{index + 1}"))

    def people(self):
        return [f"photo-{number}" for number in range(7)]

    def targets(self):
        return self.people()[1:]

    def blocks(self):
        return [4, 2]
'''

LIES = {
    "a name of another": ('Pair(name, self', 'Pair("x", self', "pairs_have_the_documented_form"),
    "a place for a missing joint": ("5, 5, 1", "5, 5, 0", "pairs_have_the_documented_form"),
    "confidence over 1": ("5, 5, 1", "5, 5, 80", "pairs_have_the_documented_form"),
    "a label of no set": ("parsing=np.zeros(", "parsing=99 + np.zeros(", "pairs_have_the_documented_form"),
    "no label set": ('label_set = "atr18"', 'label_set = ""', "pairs_have_the_documented_form"),
    "an image of floats": ("np.uint8)\n        joints", "np.float32)\n        joints", "pairs_have_the_documented_form"),
    "no pairs": ("return 6", "return 0", "pairs_have_the_documented_form"),
    "one name": ('return f"pair-{index}"', 'return "pair"', "names_are_unique"),
    "a folder in its name": ('return f"pair-{index}"', 'return f"a/{index}"', "names_are_unique"),
    "names of the moment": ('f"pair-{index}"', 'f"pair-{index}-{id(self)}"', "names_are_unique"),
    "pictures of the moment": ('removeprefix("photo-"))', 'removeprefix("photo-")) + self.asked', "pairs_are_always_the_same"),
    "pictures of the process": ('removeprefix("photo-"))', 'removeprefix("photo-")) + built.index(self)', "pairs_are_always_the_same"),
    "no end": ("if not 0 <= index < 6:", "if index < 0:", "no_pair_beyond_the_end"),
    "what cannot be sent": ("# built", "self.keys = lambda: 1", "goes_to_workers"),
    "blocks of too few": ("[4, 2]", "[4, 1]", "blocks_add_up"),
    "an empty block": ("[4, 2]", "[6, 0]", "blocks_add_up"),
    "a photo twice": ("range(7)]", "(0, 1, 2, 3, 4, 5, 6, 6)]", "people_are_those_of_the_pairs"),
    "a target of nowhere": ("self.people()[1:]", '["nobody"]', "people_are_those_of_the_pairs"),
    "no KeyError": ("raise KeyError(name)", "raise ValueError(name)", "people_are_those_of_the_pairs"),
    "every folder": ("    def __len__", "    @classmethod\n    def recognises(cls, root):\n        return True\n\n    def __len__", "recognises_no_other_folder"),
    "an index beside its files": ("# asked", 'pathlib.Path(__file__).with_name("index.txt").write_text("x")', "keeps_to_itself"),
}  # fmt: skip


OPTIONS = {
    "needy": ('root: str = Field(default="", description="Its folder.")', '{ type = "str", default = "", help = "Its folder." }'),
    "full": ('size: int = Field(default=8, ge=1, description="Its size.")', '{ type = "int", default = 8, ge = 1, help = "Its size." }'),
    "parsing": ('parsing: bool = Field(default=False, description="Label maps too.")', '{ type = "bool", default = false, help = "Label maps too." }'),
}  # fmt: skip
"""Of a dataset that needs to be told where its data is, and of one that does not: in the Config, in the manifest."""


def checked(packages: FakePackages, model: str, option: str = "", more: str = "") -> Report:
    top = top_level(NAME)
    config = CONFIG
    block = f'[[component]]\nkind = "dataset"\nname = "pictures"\nsummary = "Grey."\nlicence = "Apache-2.0"\ntarget = "{top}.model:Part"\nconfig = "{top}.parts:Config"\n{more}'
    if option:
        coded, written = OPTIONS[option]
        config = CONFIG.replace("pass", coded).replace("from", "from pydantic import Field\nfrom", 1)
        block += f"[component.options]\n{coded.partition(':')[0]} = {written}\n"
    packages.install(NAME, manifest=packages.manifest(NAME, block), files={"parts.py": config, "model.py": model})
    behaviour = DATASET_CHECKS[DATASET_CHECKS.index(contract_fits) : DATASET_CHECKS.index(keeps_to_itself) + 1]
    return check_part("dataset", "pictures", registry=discover(), only=behaviour)


def test_an_honest_dataset_passes(fake_packages: FakePackages) -> None:
    report = checked(fake_packages, MODEL)
    report.raise_if_failed()
    assert report.counts["ran"] == 10 and report.counts["skipped"] == 0, report.outcomes


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_fails_its_check(lie: str, fake_packages: FakePackages) -> None:
    before, after, check = LIES[lie]
    assert before in MODEL
    report = checked(fake_packages, MODEL.replace(before, after))
    assert check in {outcome.check for outcome in report.outcomes if outcome.status == "failed"}, report.outcomes


PROMISE = '[component.provides.source_parsing]\naxes = ["B", "H", "W"]\ndtype = "label"\n'
AT_TIMES = "[[component.provides.source_parsing.when]]\noptions = { parsing = [false] }\nprovided = false\n"


@pytest.mark.parametrize(
    ("more", "parsing", "fault"),
    [
        (f'label_set = "atr18"\n{PROMISE}', True, ""),
        (
            f'label_set = "atr18"\n{PROMISE}',
            False,
            "provides source_parsing, and no source that was tried has a label map",
        ),
        (f'label_set = "lip20"\n{PROMISE}', True, "its label set is 'atr18', and the manifest says 'lip20'"),
        (PROMISE, True, "its label set is 'atr18', and the manifest says none"),
        (PROMISE + AT_TIMES, False, ""),
    ],
)
def test_it_gives_what_its_manifest_promises(more: str, parsing: bool, fault: str, fake_packages: FakePackages) -> None:
    model = MODEL if parsing else MODEL.replace("parsing=np.zeros((20, 10), np.uint8)", "parsing=None")
    report = checked(fake_packages, model, "parsing" if AT_TIMES in more else "", more)
    failed = {outcome.check: outcome.reason for outcome in report.outcomes if outcome.status == "failed"}
    assert set(failed) == ({"pairs_have_the_documented_form"} if fault else set()), report.outcomes
    assert fault in failed.get("pairs_have_the_documented_form", "")


def test_a_single_pair_may_lack_its_label_map(fake_packages: FakePackages) -> None:
    model = MODEL.replace(
        "np.zeros((20, 10), np.uint8))", 'None if name == "photo-0" else np.zeros((20, 10), np.uint8))'
    )
    assert model != MODEL
    checked(fake_packages, model, more=f'label_set = "atr18"\n{PROMISE}').raise_if_failed()


NEEDY = MODEL.replace("# built", 'raise UserError("pictures was given no folder.")')


def test_one_that_needs_data_is_skipped_with_what_it_says(fake_packages: FakePackages) -> None:
    report = checked(fake_packages, NEEDY, "needy")
    skipped = [outcome for outcome in report.outcomes if outcome.status == "skipped"]
    assert len(skipped) == 7 and all("pictures was given no folder." in outcome.reason for outcome in skipped)


@pytest.mark.parametrize("option", ["", "full"])
def test_one_that_cannot_be_told_where_its_data_is_fails(option: str, fake_packages: FakePackages) -> None:
    report = checked(fake_packages, NEEDY, option)
    failed = [outcome for outcome in report.outcomes if outcome.status == "failed"]
    assert len(failed) == 7 and all("pictures was given no folder." in outcome.reason for outcome in failed)


def test_one_of_whose_pairs_none_can_be_read_fails(fake_packages: FakePackages) -> None:
    broken = MODEL.replace("# asked", 'raise DataError("the photo is cut off")')
    broken = broken.replace("import Dataset,", "import DataError, Dataset,")
    report = checked(fake_packages, broken)
    failed = {outcome.check: outcome.reason for outcome in report.outcomes if outcome.status == "failed"}
    assert "the photo is cut off" in failed["pairs_have_the_documented_form"], report.outcomes


def test_one_with_a_pair_that_cannot_be_read_passes(fake_packages: FakePackages) -> None:
    broken = MODEL.replace("# asked", 'if index == 0: raise DataError("the photo is cut off")')
    broken = broken.replace("import Dataset,", "import DataError, Dataset,")
    checked(fake_packages, broken).raise_if_failed()
