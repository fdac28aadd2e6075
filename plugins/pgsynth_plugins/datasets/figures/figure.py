"""A person: everything that stays the same from picture to picture, and the surfaces it is made of."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float

from pgsynth_plugins.datasets.figures.body.bones import rest_joints
from pgsynth_plugins.datasets.figures.body.build import Build, draw_build
from pgsynth_plugins.datasets.figures.body.face import Look, draw_look, face_material
from pgsynth_plugins.datasets.figures.body.hair import Hair, draw_hair, hair_material
from pgsynth_plugins.datasets.figures.body.hair_shapes import hair_tubes
from pgsynth_plugins.datasets.figures.body.head import ears, neck, skull
from pgsynth_plugins.datasets.figures.body.limbs import bare_limb, hand
from pgsynth_plugins.datasets.figures.body.tubes import Mesh, assemble
from pgsynth_plugins.datasets.figures.chance import Chance
from pgsynth_plugins.datasets.figures.clothes.bottoms import add_bottom, bare_from
from pgsynth_plugins.datasets.figures.clothes.extras import add_bag, add_scarf
from pgsynth_plugins.datasets.figures.clothes.hats import add_glasses, add_hat
from pgsynth_plugins.datasets.figures.clothes.outers import add_outer
from pgsynth_plugins.datasets.figures.clothes.outfit import Outfit
from pgsynth_plugins.datasets.figures.clothes.shoes import add_feet
from pgsynth_plugins.datasets.figures.clothes.tops import add_top, sleeve_end
from pgsynth_plugins.datasets.figures.clothes.wardrobe import draw_outfit
from pgsynth_plugins.datasets.figures.labels import DRESS, FACE, UPPER, arm, leg
from pgsynth_plugins.datasets.figures.material import Material, plain
from pgsynth_plugins.datasets.figures.maths import Array
from pgsynth_plugins.datasets.figures.surfaces import Surfaces

__all__ = ["Figure", "Traits", "draw_traits", "make_figure"]


@dataclass(frozen=True)
class Traits:
    """Who somebody is."""

    build: Build
    hair: Hair
    look: Look
    outfit: Outfit


@dataclass(frozen=True, eq=False)
class Figure:
    """Somebody ready to be posed and painted; `rest` is where the joints are when the body stands straight."""

    traits: Traits
    mesh: Mesh
    materials: tuple[Material, ...]
    rest: Float[Array, "18 3"]


def draw_traits(chance: Chance) -> Traits:
    """Somebody new: build, hair, face and clothes."""
    build = draw_build(chance.of("build"))
    hair = draw_hair(chance.of("hair"), build.feminine)
    look = draw_look(chance.of("look"), build.feminine, hair.colour)
    return Traits(build, hair, look, draw_outfit(chance.of("outfit"), build.feminine))


def make_figure(traits: Traits) -> Figure:
    """Build the surfaces of a person: body, then clothes from the inside out."""
    surfaces = Surfaces(traits.build)
    outfit, skin = traits.outfit, traits.look.skin.base
    _add_body(surfaces, traits)
    add_feet(surfaces, outfit.shoes, skin)
    add_bottom(surfaces, outfit)
    add_top(surfaces, outfit, skin, DRESS if outfit.bottom.kind == "dress" else UPPER)
    if outfit.outer is not None:
        add_outer(surfaces, outfit.outer)
    ease = traits.build.unit * (2.0 if outfit.outer is not None else 0.45 + 0.8 * outfit.top.loose)
    if outfit.scarf is not None:
        add_scarf(surfaces, outfit.scarf, ease)
    if outfit.bag:
        add_bag(surfaces, outfit, ease)
    return Figure(traits, assemble(surfaces.tubes), tuple(surfaces.materials), rest_joints(traits.build))


def _add_body(surfaces: Surfaces, traits: Traits) -> None:
    """Head with hair and hat, neck, and what of the limbs is bare."""
    build, outfit, skin = traits.build, traits.outfit, traits.look.skin.base
    flesh = surfaces.use(plain(skin, FACE))
    surfaces.add(skull(build, surfaces.use(face_material(traits.look))), neck(build, flesh), *ears(build, flesh))
    hair = surfaces.use(hair_material(traits.hair))
    surfaces.add(*hair_tubes(build, traits.hair, hair, covered=bool(outfit.hat)))
    if outfit.hat:
        add_hat(surfaces, outfit)
    if outfit.glasses:
        add_glasses(surfaces, outfit.glasses)
    for side, limb in surfaces.arms.items():
        material = surfaces.use(plain(skin, arm(side)))
        covered = limb.length if outfit.outer is not None else sleeve_end(limb, outfit.top.sleeve)
        if covered < limb.length - 0.01:
            surfaces.add(bare_limb(limb, covered - 2.5 * build.unit if covered else limb.places[0], material))
        surfaces.add(*hand(build, limb, material))
    for side, limb in surfaces.legs.items():
        start = bare_from(limb, outfit.bottom, build.unit)
        surfaces.add(bare_limb(limb, start, surfaces.use(plain(skin, leg(side)))))
