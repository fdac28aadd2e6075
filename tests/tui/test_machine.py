"""What the machine does, in a line."""

from __future__ import annotations

import re

import pytest

from pgsynth_tui.stores.machine import _of_cards, machine_line


def test_this_machine_says_its_processors_and_memory() -> None:
    assert re.search(r"CPU .* of \d+, memory \d+\.\d of \d+\.\d GiB", machine_line())


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("", ""),
        ("97, 31044, 81559\n", "GPU 97%, 31044 of 81559 MiB"),
        ("97, 31044, 81559\n8, 500, 81559\n", "2 GPUs 8-97%, at most 31044 of 81559 MiB"),
        ("99, 9044, 81559\n99, 31044, 81559\n", "2 GPUs 99%, at most 31044 of 81559 MiB"),
        ("[N/A], 5, 10\n", "GPU, 5 of 10 MiB"),
        ("no devices were found\n", ""),
    ],
)
def test_gpus_take_a_few_words_however_many_there_are(said: str, line: str) -> None:
    assert _of_cards(said) == line
