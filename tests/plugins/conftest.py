"""What the tests of parts share: a building context made by hand, as core would make it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from torch import nn

from pgsynth_core.interfaces import BuildContext

MakeContext = Callable[..., BuildContext]


@pytest.fixture(scope="session")
def context() -> MakeContext:
    """A `BuildContext` for the tiny base at 26x22, whose latent grid 13x11 is odd and not square; keywords replace."""

    def make(denoiser: nn.Module | None = None, **given: Any) -> BuildContext:
        size = {"image_size": (26, 22), "stride": 2, "axes": {"D": 64, "Z": 12}}
        plain = {"label": "part", "weights": lambda weight_id, files=(): None, "denoiser": denoiser}
        return BuildContext(**(plain | size | given))

    return make
