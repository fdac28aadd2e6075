"""The mirror: photo, joints and label map together, left and right exchanged. For augmentation, `train.flip`.

Lettering on clothes is mirrored too, which is why nothing is flipped unless it is asked for.
"""

from __future__ import annotations

import numpy as np

from pgsynth_core.data.keypoints import flip_keypoints
from pgsynth_core.data.labels import flip_labels
from pgsynth_core.data.records import Pair, Person

__all__ = ["flip_pair", "flip_person"]


def flip_person(person: Person, *, label_set: str = "") -> Person:
    """The person in the mirror; flipping twice gives the same person.

    Args:
        person: Whom.
        label_set: Of the label map; not needed where there is none.

    Raises:
        ValueError: If there is a label map and no such label set.
    """
    return Person(
        person.name,
        np.ascontiguousarray(person.image[:, ::-1]),
        flip_keypoints(person.keypoints, person.size[1]),
        None if person.parsing is None else flip_labels(person.parsing, label_set),
        person.label_set,
    )


def flip_pair(pair: Pair, *, label_set: str = "") -> Pair:
    """Both persons in the mirror: flipping one of them would put a pocket on the other side of the same coat."""
    return Pair(pair.name, flip_person(pair.source, label_set=label_set), flip_person(pair.target, label_set=label_set))
