"""Label sets of human parsing: names, left and right, groups, colours. Tables, and the flip of a label map.

The sets are those of `axes.LABEL_SETS`: ATR-18, LIP-20 and CIHP-20, which is LIP-20 but for label 10.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from jaxtyping import UInt8

from pgsynth_core.axes import LABEL_SETS
from pgsynth_core.data.records import LabelMap
from pgsynth_core.errors import suggestion

__all__ = ["LABELS", "Group", "LabelSet", "flip_labels", "label_set_of", "voc_palette"]

Group = Literal["background", "body", "clothes", "face"]


@dataclass(frozen=True)
class LabelSet:
    """One label set.

    Attributes:
        name: As in `axes.LABEL_SETS` and in the text chunk ``label_set`` of a label map's PNG.
        names: Label -> what it stands for; 0 is the background.
        groups: Label -> the group it belongs to. `body` is bare skin, `clothes` everything worn below the head or on
            it, `face` the face with hair and glasses.
        swaps: Pairs (left, right) of labels that a mirror exchanges.
    """

    name: str
    names: tuple[str, ...]
    groups: tuple[Group, ...]
    swaps: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """The label of that name.

        Raises:
            ValueError: If there is none.
        """
        if name not in self.names:
            raise ValueError(f"{self.name} has no label {name!r}. {suggestion(name, self.names, what='labels')}")
        return self.names.index(name)

    def of_group(self, group: Group) -> tuple[int, ...]:
        """The labels of a group, ascending."""
        return tuple(label for label, its in enumerate(self.groups) if its == group)

    def mirrored(self) -> UInt8[np.ndarray, " 256"]:
        """Look-up table label -> label in the mirror; bytes that are no label of the set stay."""
        table = np.arange(256, dtype=np.uint8)
        for left, right in self.swaps:
            table[left], table[right] = right, left
        return table


def _table(name: str, rows: str) -> LabelSet:
    """Rows are ``label-name:initial of its group``."""
    pairs = [row.split(":") for row in rows.split()]
    names = tuple(label for label, _ in pairs)
    initials: dict[str, Group] = {"-": "background", "b": "body", "c": "clothes", "f": "face"}
    swaps = tuple(
        (names.index(label), names.index(label.replace("left-", "right-")))
        for label in names
        if label.startswith("left-")
    )
    assert len(names) == LABEL_SETS[name], "axes.LABEL_SETS and this table say the same"
    return LabelSet(name, names, tuple(initials[initial] for _, initial in pairs), swaps)


_LIP: Final = (
    "background:- hat:c hair:f glove:c sunglasses:f upper-clothes:c dress:c coat:c socks:c pants:c {ten} scarf:c "
    "skirt:c face:f left-arm:b right-arm:b left-leg:b right-leg:b left-shoe:c right-shoe:c"
)

LABELS: Final[Mapping[str, LabelSet]] = {
    "atr18": _table(
        "atr18",
        "background:- hat:c hair:f sunglasses:f upper-clothes:c skirt:c pants:c dress:c belt:c left-shoe:c "
        "right-shoe:c face:f left-leg:b right-leg:b left-arm:b right-arm:b bag:c scarf:c",
    ),
    "lip20": _table("lip20", _LIP.format(ten="jumpsuit:c")),
    "cihp20": _table("cihp20", _LIP.format(ten="torso-skin:b")),
}
"""Every label set by name. Left and right are the person's own, as in the keypoints."""


def label_set_of(name: str) -> LabelSet:
    """The label set of that name.

    Raises:
        ValueError: If there is none.
    """
    if name not in LABELS:
        raise ValueError(f"no label set {name!r}. {suggestion(name, tuple(LABELS), what='label sets')}")
    return LABELS[name]


def flip_labels(parsing: LabelMap, label_set: str) -> LabelMap:
    """The label map in the mirror: columns reversed, left and right labels exchanged.

    Raises:
        ValueError: If there is no such label set.
    """
    return np.asarray(label_set_of(label_set).mirrored()[parsing[:, ::-1]])


def voc_palette() -> UInt8[np.ndarray, "256 3"]:
    """RGB of each label: the PASCAL VOC colours, in which the field's label maps are published."""
    colours = np.zeros((256, 3), np.uint8)
    for label in range(256):
        for bit in range(8):  # bits 0, 3 and 6 of the label are red's highest three, and so on
            colours[label, bit % 3] |= (label >> bit & 1) << (7 - bit // 3)
    return colours
