"""How somebody is built: the lengths and widths that everything on the body is measured by. All in metres.

The proportions are those of fashion plates rather than of anatomy: a person is about seven heads tall, with a head
that is a little large, so that a face can still be read when the picture is small.
"""

from __future__ import annotations

from dataclasses import dataclass

from pgsynth_plugins.datasets.figures.chance import Chance

__all__ = ["Build", "draw_build"]


@dataclass(frozen=True, kw_only=True)
class Build:
    """Lengths in metres; heights are above the floor, widths and depths are half of the extent.

    Attributes:
        feminine: 0 to 1: how the torso curves and how the face is drawn.
        height: Crown of the head.
        crotch: Height of the crotch.
        shoulder: From the spine to the shoulder joint.
        chest: Width at the chest; also waist and hips.
        bust: How far the chest stands out in front, beyond the ribs.
        belly: How far the belly stands out in front.
        girth: Factor on the thickness of the limbs.
        head: Height of the head, chin to crown.
        muscle: 0 to 1: swell of calves, thighs and upper arms.
    """

    feminine: float
    height: float
    crotch: float
    shoulder: float
    chest: float
    waist: float
    hips: float
    bust: float
    belly: float
    girth: float
    head: float
    muscle: float

    @property
    def unit(self) -> float:
        """A hundredth of the height: what thicknesses are given in."""
        return self.height * 0.01

    @property
    def hip_joint(self) -> float:
        """Height of the hip joints."""
        return self.crotch + 0.040 * self.height

    @property
    def waistline(self) -> float:
        """Height of the waist."""
        return self.crotch + 0.150 * self.height

    @property
    def shoulder_joint(self) -> float:
        """Height of the shoulder joints."""
        return 0.806 * self.height

    @property
    def neck_base(self) -> float:
        """Height at which the neck leaves the shoulders."""
        return 0.838 * self.height

    @property
    def chin(self) -> float:
        """Height of the chin."""
        return self.height - self.head

    @property
    def upper_arm(self) -> float:
        """Shoulder to elbow."""
        return 0.170 * self.height

    @property
    def forearm(self) -> float:
        """Elbow to wrist."""
        return 0.146 * self.height

    @property
    def ankle(self) -> float:
        """Height of the ankle joints."""
        return 0.043 * self.height

    @property
    def knee(self) -> float:
        """Height of the knees."""
        return self.ankle + 0.485 * (self.hip_joint - self.ankle)

    @property
    def hip(self) -> float:
        """From the spine to the hip joint."""
        return 0.56 * self.hips


def draw_build(chance: Chance) -> Build:
    """Somebody's build; slim to broad, short to tall, in any combination."""
    feminine = 1.0 if chance.happens("feminine", 0.55) else 0.0
    feminine = abs(feminine - 0.5 * chance.unit("androgynous") * chance.unit("androgynous again"))
    height = chance.around("height", 1.79 - 0.10 * feminine, 0.13)
    weight = chance.around("weight", 1.0, 0.17) + (0.08 if chance.happens("heavy", 0.2) else 0.0)
    wide = 0.35 + 0.65 * weight
    return Build(
        feminine=feminine,
        height=height,
        crotch=height * chance.around("legs", 0.468 + 0.006 * feminine, 0.016),
        shoulder=height * chance.around("shoulders", 0.1045 - 0.0125 * feminine, 0.007) * (0.7 + 0.3 * weight),
        chest=height * chance.around("chest", 0.0945 - 0.0125 * feminine, 0.004) * wide,
        waist=height * chance.around("waist", 0.0815 - 0.0135 * feminine, 0.005) * (0.1 + 0.9 * weight),
        hips=height * chance.around("hips", 0.0925 + 0.0035 * feminine, 0.005) * wide,
        bust=height * (0.006 + 0.014 * feminine * chance.between("bust", 0.5, 1.3)),
        belly=height * max(0.0, 0.07 * (weight - 1.0) + 0.004 * chance.unit("belly")),
        girth=(0.3 + 0.7 * weight) * (1.0 - 0.07 * feminine),
        head=height * chance.around("head", 0.1415, 0.0045),
        muscle=chance.between("muscle", 0.2, 1.0) * (1.0 - 0.4 * feminine),
    )
