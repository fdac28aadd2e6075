"""What a person is made of, while it is being collected: the body to measure by, tubes, and their materials."""

from __future__ import annotations

from dataclasses import dataclass, field

from pgsynth_plugins.datasets.figures.body.build import Build
from pgsynth_plugins.datasets.figures.body.shapes import SIDES, Limb, Torso, arm_of, leg_of
from pgsynth_plugins.datasets.figures.body.tubes import Tube
from pgsynth_plugins.datasets.figures.material import Material

__all__ = ["Surfaces"]


@dataclass
class Surfaces:
    """A growing person."""

    build: Build
    tubes: list[Tube] = field(default_factory=list)
    materials: list[Material] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.torso = Torso(self.build)
        self.arms: dict[int, Limb] = {side: arm_of(self.build, side) for side in SIDES}
        self.legs: dict[int, Limb] = {side: leg_of(self.build, side) for side in SIDES}

    def use(self, material: Material) -> int:
        """Register a material; returns its number."""
        self.materials.append(material)
        return len(self.materials) - 1

    def add(self, *tubes: Tube) -> None:
        """Add surfaces that are ready."""
        self.tubes.extend(tubes)
