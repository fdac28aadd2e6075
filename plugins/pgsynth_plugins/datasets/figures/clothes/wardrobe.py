"""Chooses what somebody wears, from the person's own chance, in colours of one scheme."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from pgsynth_plugins.datasets.figures.chance import Chance
from pgsynth_plugins.datasets.figures.clothes.cloth import Cloth, Grain
from pgsynth_plugins.datasets.figures.clothes.lettering import WORDS
from pgsynth_plugins.datasets.figures.clothes.motifs import MOTIFS
from pgsynth_plugins.datasets.figures.clothes.outfit import (
    Bottom,
    Neckline,
    Outer,
    OuterKind,
    Outfit,
    Print,
    Shoe,
    Shoes,
    Sleeve,
    Top,
)
from pgsynth_plugins.datasets.figures.palette import SCHEMES, Rgb, Scheme, darker, luminance, mixed, rgb

__all__ = ["draw_outfit"]

_BLUES: Final = tuple(rgb(code) for code in ("2b3a55", "41618b", "6d8fb5", "9fbcd8", "33363d"))
_LEATHERS: Final = tuple(rgb(code) for code in ("3a2a22", "6b4327", "96602f", "1f1d20", "b98552", "d7c3a3"))
_SMALL: Final[Mapping[str, int]] = {
    "dots": 3,
    "flowers": 3,
    "leaves": 2,
    "triangles": 2,
    "crosses": 1,
    "pinstripe": 2,
    "windowpane": 2,
}
"""Quiet patterns and how often they are taken."""
_BOLD: Final[Mapping[str, int]] = {
    "stripes": 4,
    "breton": 4,
    "rhythm": 3,
    "bars": 2,
    "gingham": 3,
    "tartan": 3,
    "coins": 3,
    "diamonds": 2,
    "chevron": 2,
}
"""Loud ones."""
_SCARVES: Final[Mapping[str, int]] = {"stripes": 3, "rhythm": 2, "tartan": 2, "dots": 1}
_PERIODS: Final[Mapping[str, tuple[float, float]]] = {
    "stripes": (0.070, 0.13),
    "breton": (0.045, 0.075),
    "rhythm": (0.055, 0.090),
    "bars": (0.055, 0.11),
    "pinstripe": (0.050, 0.08),
    "gingham": (0.035, 0.075),
    "tartan": (0.075, 0.11),
    "windowpane": (0.075, 0.12),
    "dots": (0.060, 0.11),
    "coins": (0.100, 0.17),
    "diamonds": (0.080, 0.12),
    "chevron": (0.075, 0.12),
    "flowers": (0.110, 0.17),
    "leaves": (0.100, 0.15),
    "triangles": (0.080, 0.12),
    "crosses": (0.080, 0.11),
}
"""Smallest and largest repeat of each pattern that looks right, in metres."""


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """A kind of top: how often women and men wear it, its necklines and sleeves, and what can be on it."""

    women: int
    men: int
    necklines: tuple[Neckline, ...]
    sleeves: tuple[Sleeve, ...] = ("long",)
    loose: float = 0.9
    hem: tuple[float, float] = (6.5, 11.5)
    printed: bool = False
    small: bool = False
    knit: bool = False
    under: int = 0
    """How often under a jacket."""


_TOPS: Final[Mapping[str, _Kind]] = {
    "tee": _Kind(women=6, men=7, necklines=("round", "round", "v", "boat"), sleeves=("short",), printed=True, under=4),
    "long": _Kind(women=3, men=4, necklines=("round", "boat", "v"), loose=0.5, printed=True),
    "shirt": _Kind(women=3, men=4, necklines=("collar",), sleeves=("long", "long", "short"), small=True, under=3),
    "sweater": _Kind(women=4, men=4, necklines=("round", "v"), loose=1.2, hem=(8.0, 9.0), printed=True, knit=True),
    "hoodie": _Kind(women=2, men=3, necklines=("round",), loose=1.5, hem=(9.0, 10.0), printed=True),
    "polo": _Kind(women=1, men=2, necklines=("collar",), sleeves=("short",), loose=0.6),
    "turtleneck": _Kind(women=2, men=2, necklines=("high",), loose=0.4, knit=True, under=2),
    "tank": _Kind(women=3, men=1, necklines=("tank",), sleeves=("none",), loose=0.4, printed=True, under=1),
    "cami": _Kind(women=2, men=0, necklines=("straps",), sleeves=("none",), loose=0.4, small=True),
    "blouse": _Kind(women=3, men=0, necklines=("v", "scoop"), sleeves=("elbow", "short", "long"), small=True),
    "crop": _Kind(women=2, men=0, necklines=("scoop", "round"), sleeves=("short", "cap"), loose=0.3, hem=(0.8, 1.0)),
}


def _apart(one: Rgb, other: Rgb) -> float:
    r, g, b = (abs(x - y) for x, y in zip(one, other, strict=True))
    return r + g + b + 1.5 * abs(luminance(one) - luminance(other))


def _against(ground: Rgb, *candidates: Rgb) -> tuple[Rgb, Rgb]:
    """The two candidates that stand out best from the ground, best first."""
    ranked = sorted(dict.fromkeys(candidates), key=lambda colour: _apart(colour, ground), reverse=True)
    return ranked[0], ranked[1]


def _cloth(chance: Chance, ground: Rgb, scheme: Scheme, plain: float, patterns: Mapping[str, int]) -> Cloth:
    """A cloth on this ground; the share `plain` of all cloths has no pattern."""
    figures = _against(ground, scheme.light, scheme.dark, scheme.accent, scheme.top, scheme.outer)
    if chance.happens("plain", plain):
        return Cloth(ground=ground, figures=figures)
    pattern = chance.weighted("pattern", patterns)
    if pattern in ("gingham", "tartan", "windowpane") and luminance(ground) < 0.25:
        figures = (mixed(ground, figures[0], 0.55), figures[0])
    if chance.happens("swapped", 0.35) and _apart(figures[1], ground) > 0.6:
        figures = (figures[1], figures[0])
    return Cloth(ground=ground, figures=figures, pattern=pattern, period=chance.between("period", *_PERIODS[pattern]))


def _of_grain(cloth: Cloth, grain: Grain) -> Cloth:
    return Cloth(ground=cloth.ground, figures=cloth.figures, pattern=cloth.pattern, period=cloth.period, grain=grain)


# ------------------------------------------------------------------ tops
def _print(chance: Chance, ground: Rgb, scheme: Scheme) -> Print:
    inks = _against(ground, scheme.light, scheme.dark, scheme.accent, scheme.outer, scheme.bottom)
    kind: Literal["motif", "word", "band"] = chance.weighted("kind", {"motif": 4, "word": 4, "band": 2})
    what = {"motif": chance.pick("motif", tuple(MOTIFS)), "word": chance.pick("word", WORDS), "band": ""}[kind]
    return Print(kind=kind, what=what, inks=inks, back=kind == "band" or chance.happens("back", 0.4))


def _top(chance: Chance, scheme: Scheme, feminine: float, *, under: bool) -> Top:
    often = {name: kind.under if under else kind.women if feminine > 0.5 else kind.men for name, kind in _TOPS.items()}
    name = chance.weighted("kind", often)
    kind = _TOPS[name]
    if under:
        ground = chance.pick("ground under", (scheme.light, scheme.light, scheme.dark, scheme.top))
    else:
        ground = chance.weighted("ground", {scheme.top: 5, scheme.light: 3, scheme.outer: 2, scheme.dark: 1})
    plain = 0.8 if under or name == "hoodie" else 0.5
    cloth = _cloth(chance.of("cloth"), ground, scheme, plain, _SMALL if kind.small else {**_SMALL, **_BOLD})
    printed = kind.printed and cloth.pattern == "plain" and chance.happens("printed", 0.75)
    tucked = under or (kind.hem[1] > 10.0 and chance.happens("tucked", 0.4))
    trimmed = kind.printed and chance.happens("trimmed", 0.3)
    return Top(
        neckline=chance.pick("neckline", kind.necklines),
        sleeve=chance.pick("sleeve", kind.sleeves),
        cloth=_of_grain(cloth, "knit") if kind.knit else cloth,
        loose=kind.loose * (0.5 if under else chance.between("loose", 0.7, 1.3)),
        hem=0.0 if tucked else chance.between("hem", *kind.hem),
        trim=_against(ground, scheme.dark, scheme.accent, scheme.light)[0] if trimmed else None,
        print=_print(chance.of("print"), ground, scheme) if printed else Print(),
        buttons=name in ("shirt", "polo"),
        hood=name == "hoodie" and not under,
    )


def _outer(chance: Chance, scheme: Scheme, feminine: float) -> Outer:
    cardigans = 3 if feminine > 0.5 else 1
    kind: OuterKind = chance.weighted("kind", {"blazer": 3, "cardigan": cardigans, "bomber": 2, "coat": 2, "denim": 2})
    if kind == "denim":
        ground = chance.pick("blue", _BLUES[:4])
        return Outer(kind=kind, cloth=Cloth(ground=ground, figures=(scheme.light, scheme.dark), grain="denim"))
    ground = chance.weighted("ground", {scheme.outer: 4, scheme.bottom: 2, scheme.dark: 2, scheme.top: 1})
    weave = {"tartan": 1, "windowpane": 2, "pinstripe": 1}
    cloth = _cloth(chance.of("cloth"), ground, scheme, 0.6 if kind in ("blazer", "coat") else 1.0, weave)
    soft = (mixed(ground, cloth.figures[0], 0.55), mixed(ground, cloth.figures[1], 0.55))
    grain: Grain = "knit" if kind == "cardigan" else "smooth"
    return Outer(
        kind=kind,
        cloth=Cloth(ground=ground, figures=soft, pattern=cloth.pattern, period=cloth.period, grain=grain),
    )


# ------------------------------------------------------------------ bottoms and dresses
def _bottom(chance: Chance, scheme: Scheme, feminine: float, *, patterned: bool) -> Bottom:
    kind = chance.weighted("kind", {"trousers": 4, "jeans": 4, "shorts": 2, "skirt": 5 if feminine > 0.5 else 0})
    jeans = kind == "jeans" or (kind == "shorts" and chance.happens("denim", 0.4))
    ground = chance.weighted("ground", {scheme.bottom: 4, scheme.dark: 2, scheme.outer: 1})
    if jeans:
        ground = chance.pick("blue", _BLUES)
    plain = 1.0 if jeans or patterned else 0.5 if kind == "skirt" else 0.8
    cloth = _cloth(chance.of("cloth"), ground, scheme, plain, {**_SMALL, **_BOLD} if kind == "skirt" else _SMALL)
    cloth = _of_grain(cloth, "denim") if jeans else cloth
    belt = chance.pick("leather", _LEATHERS) if chance.happens("belt", 0.4) else None
    if kind == "skirt":
        length, pleats = chance.pick("length", (0.36, 0.42, 0.50, 0.66, 0.80)), chance.pick("pleats", (0, 0, 9, 14, 18))
        wide = chance.between("flare", 0.8, 6.5)
        return Bottom(kind="skirt", cloth=cloth, length=length, wide=wide, pleats=pleats, belt=belt)
    if kind == "shorts":
        length, wide = chance.between("short length", 0.26, 0.50), chance.between("short width", 0.7, 1.6)
        return Bottom(kind="shorts", cloth=cloth, length=length, wide=wide, belt=belt)
    length, wide = chance.pick("long", (1.0, 1.0, 1.0, 0.93)), chance.pick("width", (0.35, 0.5, 0.9, 1.5, 2.3))
    return Bottom(kind="trousers", cloth=cloth, length=length, wide=wide, belt=belt)


def _dress(chance: Chance, scheme: Scheme) -> tuple[Top, Bottom]:
    grounds = {scheme.top: 4, scheme.light: 2, scheme.outer: 2, scheme.dark: 2, scheme.bottom: 1}
    ground = chance.weighted("ground", grounds)
    cloth = _cloth(chance.of("cloth"), ground, scheme, 0.3, {**_SMALL, **_BOLD})
    necklines: tuple[Neckline, ...] = ("round", "v", "boat", "scoop", "tank", "straps")
    neckline = chance.pick("neckline", necklines)
    sleeves: tuple[Sleeve, ...] = ("cap", "short", "elbow", "long")
    sleeve: Sleeve = "none" if neckline in ("tank", "straps") else chance.pick("sleeve", sleeves)
    belt = _against(ground, scheme.accent, scheme.dark, scheme.light)[0] if chance.happens("belt", 0.35) else None
    return Top(neckline=neckline, sleeve=sleeve, cloth=cloth, loose=0.35, hem=0.0), Bottom(
        kind="dress",
        cloth=cloth,
        length=chance.pick("length", (0.36, 0.42, 0.46, 0.52, 0.72)),
        wide=chance.between("wide", 1.2, 8.5),
        pleats=chance.pick("pleats", (0, 0, 8, 12)),
        belt=belt,
    )


# ------------------------------------------------------------------ the rest
def _shoes(chance: Chance, scheme: Scheme, feminine: float) -> Shoes:
    women = 3 if feminine > 0.5 else 0
    weights: Mapping[Shoe, int] = {"sneaker": 5, "boot": 2, "loafer": 2, "flat": women, "heel": women}
    kind = chance.weighted("kind", weights)
    leather = chance.pick("leather", _LEATHERS)
    if kind == "sneaker":
        upper = chance.pick("sneaker", (scheme.light, scheme.light, scheme.accent, scheme.dark))
        socks = (scheme.light, scheme.dark, scheme.accent, rgb("f4f2ee"))
        sock = chance.pick("sock", socks) if chance.happens("socks", 0.7) else None
        return Shoes(kind=kind, upper=upper, sole=rgb("f4f1ea"), sock=sock)
    upper = leather if kind in ("boot", "loafer") else chance.pick("fine", (leather, scheme.accent, scheme.dark))
    return Shoes(kind=kind, upper=upper, sole=darker(leather, 0.5), sock=None)


def draw_outfit(chance: Chance, feminine: float) -> Outfit:
    """Somebody's clothes; `feminine` from 0 to 1 weighs what is worn how often."""
    scheme = chance.pick("scheme", SCHEMES)
    dressed = feminine > 0.5 and chance.happens("dress", 0.36)
    jacket = chance.happens("jacket", 0.12 if dressed else 0.30)
    outer = _outer(chance.of("outer"), scheme, feminine) if jacket else None
    if dressed:
        top, bottom = _dress(chance.of("dress"), scheme)
    else:
        top = _top(chance.of("top"), scheme, feminine, under=jacket)
        bottom = _bottom(chance.of("bottom"), scheme, feminine, patterned=top.cloth.pattern != "plain")
        top = replace(top, hem=0.0) if bottom.skirted else top  # a flared skirt lies over the shirt
    wrapped = top.neckline != "high" and not top.hood and chance.happens("scarf", 0.08 if dressed else 0.14)
    wool = chance.pick("scarf colour", (scheme.accent, scheme.outer, scheme.light))
    hat_colour = chance.pick("hat colour", (scheme.outer, scheme.accent, scheme.dark, scheme.bottom))
    return Outfit(
        top=top,
        bottom=bottom,
        outer=outer,
        shoes=_shoes(chance.of("shoes"), scheme, feminine),
        hat=chance.weighted("hat", {"": 18, "cap": 2, "beanie": 2, "brim": 2, "beret": 1}),
        hat_colours=(hat_colour, scheme.light),
        glasses=chance.weighted("glasses", {"": 14, "round": 1, "wide": 1}),
        bag=chance.weighted("bag", {"": 13, "cross": 3, "shoulder": 2, "backpack": 2}),
        bag_colour=chance.pick("bag colour", (*_LEATHERS, scheme.accent, scheme.outer)),
        scarf=_cloth(chance.of("scarf"), wool, scheme, 0.5, _SCARVES) if wrapped else None,
    )
