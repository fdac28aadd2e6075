"""As many at once as fit: fewer where memory ends, more where it does not, each the same and in order."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from pgsynth_core.api import drawing
from pgsynth_core.api.together import as_many_as_fit
from pgsynth_core.errors import UserError


class Device:
    """Makes pictures, so many at once at most."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.asked: list[int] = []
        self.told: list[str] = []

    def make(self, chunk: Sequence[int]) -> list[int]:
        self.asked.append(len(chunk))
        if len(chunk) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return [-one for one in chunk]

    def made(self, count: int, size: int, most: int = 0) -> list[int]:
        return list(as_many_as_fit(range(count), self.make, size, most=most, tell=self.told.append))


@pytest.mark.parametrize(
    ("room", "most", "asked", "words"),
    [
        (100, 0, [4, 4, 4, 4, 4, 4, 4, 2], []),
        (100, 64, [4, 8, 16, 2], []),
        (100, 8, [4, 8, 8, 8, 2], []),
        (100, 3, [4, 4, 4, 4, 4, 4, 4, 2], []),
        (10, 64, [4, 8, 16, 8, 8, 2], []),
        (4, 64, [4, 8, 4, 4, 4, 4, 4, 4, 2], []),
        (3, 64, [4, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2], ["2 at a time"]),
    ],
)
def test_as_many_are_made_at_once_as_fit(room: int, most: int, asked: list[int], words: list[str]) -> None:
    device = Device(room)
    assert device.made(30, 4, most) == [-one for one in range(30)]
    assert device.asked == asked
    assert len(device.told) == len(words) and all(word in told for word, told in zip(words, device.told, strict=True))


def test_what_fitted_once_and_does_not_any_more_is_told() -> None:
    device, made = Device(16), list[int]()
    for one in as_many_as_fit(range(60), device.make, 4, most=64, tell=device.told.append):
        made.append(one)
        device.room = 16 if len(made) < 28 else 5
    assert made == [-one for one in range(60)] and device.asked[:7] == [4, 8, 16, 32, 16, 8, 4]
    assert max(device.asked[6:]) == 4 and [told[-25:] for told in device.told] == [
        f"{number} at a time from here on." for number in (8, 4)
    ]


def test_without_memory_for_one_it_ends() -> None:
    with pytest.raises(UserError, match="one picture at a time: "):
        Device(0).made(3, 4)


def test_more_at_once_are_tried_where_that_is_quicker() -> None:
    method = torch.nn.Linear(1, 1)
    assert not drawing._gains(method) and drawing._gains(torch.nn.Linear(1, 1, device="meta"))
    other = torch.nn.Linear(1, 1, device="meta")
    other.compile()
    assert not drawing._gains(other), "another number would be compiled anew"
