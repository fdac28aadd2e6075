"""The library of stances, in degrees.

Angles are anatomical, so that the same numbers serve both sides: `out` lifts a limb away from the body, `forward`
swings it forwards, `turn` rotates it about itself (an arm inwards, a leg outwards), `bend` closes elbow or knee.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["STANCES", "Arm", "Leg", "Pose", "Trunk"]


@dataclass(frozen=True)
class Arm:
    """An arm, hanging at the side when all is 0."""

    out: float = 8.0
    forward: float = 0.0
    turn: float = 0.0
    bend: float = 14.0
    wrist: float = 4.0


@dataclass(frozen=True)
class Leg:
    """A leg, straight down when all is 0; `point` lowers the toes."""

    out: float = 3.0
    forward: float = 0.0
    turn: float = 9.0
    bend: float = 2.0
    point: float = 0.0


@dataclass(frozen=True)
class Trunk:
    """Part of the trunk: `lean` forwards, `tilt` to the person's left, `turn` to the person's left."""

    lean: float = 0.0
    tilt: float = 0.0
    turn: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Pose:
    """Angles of the whole body, the direction the person faces (0 is the viewer, 90 the right of the picture), and how
    far the feet are above the floor, in metres."""

    left_arm: Arm = Arm()
    right_arm: Arm = Arm()
    left_leg: Leg = Leg()
    right_leg: Leg = Leg()
    hips: Trunk = Trunk()
    chest: Trunk = Trunk()
    head: Trunk = Trunk()
    yaw: float = 0.0
    lift: float = 0.0


_HIP_HAND: Final = Arm(out=38.0, forward=-24.0, turn=64.0, bend=98.0, wrist=-25.0)
_POCKET: Final = Arm(out=20.0, forward=-14.0, turn=22.0, bend=44.0, wrist=0.0)
_LOOSE: Final = Arm(out=9.0, forward=2.0, turn=4.0, bend=16.0)
_BACK_ARM: Final = Arm(out=8.0, forward=-20.0, turn=0.0, bend=14.0)
_FRONT_ARM: Final = Arm(out=8.0, forward=22.0, turn=8.0, bend=26.0)
_FREE: Final = Leg(out=7.0, forward=9.0, turn=18.0, bend=20.0, point=6.0)

STANCES: Final[Mapping[str, Pose]] = {
    "stand": Pose(),
    "relaxed": Pose(
        left_arm=_LOOSE,
        right_arm=_LOOSE,
        right_leg=_FREE,
        hips=Trunk(tilt=-4.0),
        chest=Trunk(tilt=6.0),
        head=Trunk(tilt=-3.0),
    ),
    "hand on hip": Pose(
        left_arm=_HIP_HAND,
        right_arm=_LOOSE,
        right_leg=_FREE,
        hips=Trunk(tilt=-5.0),
        chest=Trunk(tilt=7.0),
        head=Trunk(tilt=-4.0),
    ),
    "hands on hips": Pose(left_arm=_HIP_HAND, right_arm=_HIP_HAND, left_leg=Leg(out=9.0), right_leg=Leg(out=9.0)),
    "pockets": Pose(
        left_arm=_POCKET,
        right_arm=_POCKET,
        left_leg=Leg(out=5.0),
        right_leg=Leg(out=6.0, forward=4.0, bend=8.0),
        chest=Trunk(lean=-2.0),
    ),
    "one pocket": Pose(
        left_arm=_POCKET, right_arm=_FRONT_ARM, left_leg=_FREE, hips=Trunk(tilt=4.0), chest=Trunk(tilt=-5.0)
    ),
    "walk": Pose(
        left_arm=_BACK_ARM,
        right_arm=_FRONT_ARM,
        left_leg=Leg(out=1.0, forward=21.0, turn=5.0, bend=4.0, point=-10.0),
        right_leg=Leg(out=1.0, forward=-13.0, turn=6.0, bend=20.0, point=18.0),
        hips=Trunk(turn=-6.0),
        chest=Trunk(turn=9.0),
    ),
    "stroll": Pose(
        left_arm=_FRONT_ARM,
        right_arm=_POCKET,
        left_leg=Leg(out=1.0, forward=-8.0, turn=6.0, bend=16.0, point=12.0),
        right_leg=Leg(out=1.0, forward=15.0, turn=5.0, bend=3.0, point=-6.0),
        chest=Trunk(turn=-5.0),
        head=Trunk(turn=10.0),
    ),
    "wave": Pose(
        left_arm=Arm(out=72.0, forward=8.0, turn=-82.0, bend=88.0),
        right_arm=_LOOSE,
        right_leg=_FREE,
        head=Trunk(tilt=4.0),
    ),
    "hello": Pose(
        left_arm=Arm(out=46.0, forward=12.0, turn=-58.0, bend=124.0, wrist=-15.0),
        right_arm=_POCKET,
        left_leg=Leg(out=5.0),
        right_leg=Leg(out=4.0),
    ),
    "cheer": Pose(
        left_arm=Arm(out=148.0, forward=10.0, turn=-60.0, bend=22.0),
        right_arm=Arm(out=142.0, forward=10.0, turn=-60.0, bend=30.0),
        left_leg=Leg(out=9.0),
        right_leg=Leg(out=9.0),
    ),
    "reach": Pose(
        left_arm=Arm(out=160.0, forward=0.0, turn=-80.0, bend=12.0),
        right_arm=_HIP_HAND,
        left_leg=Leg(out=2.0),
        right_leg=_FREE,
        chest=Trunk(tilt=-6.0),
    ),
    "hair": Pose(
        left_arm=Arm(out=118.0, forward=-6.0, turn=-66.0, bend=134.0, wrist=15.0),
        right_arm=_LOOSE,
        right_leg=_FREE,
        hips=Trunk(tilt=-4.0),
        chest=Trunk(tilt=5.0),
        head=Trunk(tilt=6.0),
    ),
    "thinking": Pose(
        left_arm=Arm(out=6.0, forward=38.0, turn=28.0, bend=128.0, wrist=10.0),
        right_arm=Arm(out=10.0, forward=12.0, turn=52.0, bend=82.0),
        right_leg=_FREE,
        head=Trunk(lean=5.0, tilt=4.0),
    ),
    "clasped": Pose(
        left_arm=Arm(out=9.0, forward=14.0, turn=42.0, bend=48.0, wrist=10.0),
        right_arm=Arm(out=9.0, forward=14.0, turn=42.0, bend=48.0, wrist=10.0),
    ),
    "welcome": Pose(
        left_arm=Arm(out=44.0, forward=14.0, turn=-30.0, bend=34.0),
        right_arm=Arm(out=44.0, forward=14.0, turn=-30.0, bend=34.0),
        left_leg=Leg(out=6.0),
        right_leg=_FREE,
    ),
    "point": Pose(
        left_arm=Arm(out=72.0, forward=18.0, turn=0.0, bend=12.0, wrist=0.0),
        right_arm=_HIP_HAND,
        left_leg=Leg(out=8.0),
        right_leg=Leg(out=8.0),
        head=Trunk(turn=28.0),
    ),
    "wide": Pose(
        left_arm=Arm(out=66.0, turn=-10.0, bend=14.0),
        right_arm=Arm(out=66.0, turn=-10.0, bend=14.0),
        left_leg=Leg(out=13.0),
        right_leg=Leg(out=13.0),
    ),
    "muscle": Pose(
        left_arm=Arm(out=84.0, turn=-88.0, bend=98.0),
        right_arm=Arm(out=84.0, turn=-88.0, bend=98.0),
        left_leg=Leg(out=9.0),
        right_leg=Leg(out=9.0),
    ),
    "stretch": Pose(
        left_arm=Arm(out=150.0, forward=4.0, turn=-40.0, bend=42.0),
        right_arm=Arm(out=34.0, forward=6.0, turn=20.0, bend=36.0),
        hips=Trunk(tilt=4.0),
        chest=Trunk(tilt=-13.0),
        left_leg=Leg(out=10.0),
        right_leg=Leg(out=10.0),
    ),
    "forward": Pose(
        left_arm=Arm(out=8.0, forward=78.0, turn=6.0, bend=10.0),
        right_arm=_BACK_ARM,
        left_leg=Leg(forward=-6.0),
        right_leg=Leg(forward=12.0, bend=6.0),
    ),
    "lunge": Pose(
        left_arm=Arm(out=14.0, forward=32.0, turn=20.0, bend=78.0),
        right_arm=Arm(out=16.0, forward=-30.0, turn=0.0, bend=58.0),
        left_leg=Leg(out=3.0, forward=50.0, turn=5.0, bend=58.0, point=-6.0),
        right_leg=Leg(out=3.0, forward=-26.0, turn=8.0, bend=22.0, point=28.0),
        chest=Trunk(lean=5.0),
    ),
    "run": Pose(
        left_arm=Arm(out=10.0, forward=-42.0, turn=0.0, bend=88.0),
        right_arm=Arm(out=10.0, forward=38.0, turn=24.0, bend=92.0),
        left_leg=Leg(out=2.0, forward=52.0, turn=3.0, bend=72.0, point=5.0),
        right_leg=Leg(out=2.0, forward=-22.0, turn=4.0, bend=42.0, point=34.0),
        hips=Trunk(lean=9.0),
        chest=Trunk(lean=4.0, turn=8.0),
        lift=0.05,
    ),
    "kick": Pose(
        left_arm=Arm(out=62.0, forward=-6.0, turn=0.0, bend=22.0),
        right_arm=Arm(out=52.0, forward=30.0, turn=10.0, bend=36.0),
        left_leg=Leg(out=7.0, forward=64.0, turn=6.0, bend=10.0, point=24.0),
        right_leg=Leg(out=2.0, forward=-3.0, bend=8.0),
        hips=Trunk(lean=-8.0),
        chest=Trunk(lean=4.0),
    ),
    "flamingo": Pose(
        left_arm=Arm(out=30.0, forward=6.0, turn=-10.0, bend=26.0),
        right_arm=Arm(out=26.0, turn=-10.0, bend=30.0),
        left_leg=Leg(out=2.0, forward=6.0, turn=4.0, bend=84.0, point=34.0),
        right_leg=Leg(out=2.0),
        head=Trunk(tilt=5.0),
    ),
    "star": Pose(
        left_arm=Arm(out=128.0, turn=-20.0, bend=12.0),
        right_arm=Arm(out=128.0, turn=-20.0, bend=12.0),
        left_leg=Leg(out=24.0, turn=18.0, bend=8.0, point=26.0),
        right_leg=Leg(out=24.0, turn=18.0, bend=8.0, point=26.0),
        lift=0.12,
    ),
    "dance": Pose(
        left_arm=Arm(out=96.0, forward=12.0, turn=-30.0, bend=44.0),
        right_arm=Arm(out=52.0, forward=28.0, turn=40.0, bend=72.0),
        left_leg=Leg(out=16.0, forward=4.0, turn=14.0, bend=10.0),
        right_leg=Leg(out=6.0, forward=14.0, turn=20.0, bend=34.0, point=14.0),
        hips=Trunk(tilt=-7.0),
        chest=Trunk(tilt=10.0),
    ),
    "crouch": Pose(
        left_arm=Arm(out=14.0, forward=46.0, turn=28.0, bend=62.0),
        right_arm=Arm(out=14.0, forward=42.0, turn=28.0, bend=66.0),
        left_leg=Leg(out=12.0, forward=58.0, turn=14.0, bend=84.0, point=-16.0),
        right_leg=Leg(out=12.0, forward=58.0, turn=14.0, bend=84.0, point=-16.0),
        hips=Trunk(lean=18.0),
        chest=Trunk(lean=10.0),
        head=Trunk(lean=-18.0),
    ),
}
"""Every stance by name."""
