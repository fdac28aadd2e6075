"""What a person gives for an edit, read and checked: the photo, what of it is to change, and references. No torch.

What lies beside a photo counts where nothing is given, and what neither gives is found by annotators.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, cast, get_args

import numpy as np
from jaxtyping import Float32
from PIL import Image

from pgsynth_core.api.own import FrameMode, window_of
from pgsynth_core.api.own_reading import Looking, file_beside, own_joints, shown_as
from pgsynth_core.api.photos import (
    OnWarning,
    Pose,
    Source,
    label_map_of,
    needs_parsing,
    parsing_of,
    photo_of,
)
from pgsynth_core.contract import Verdict
from pgsynth_core.data import (
    LABELS,
    PARSING_SUFFIX,
    DataError,
    Fit,
    Keypoints,
    LabelSet,
    Person,
    label_set_of,
    no_keypoints,
    present,
)
from pgsynth_core.data.areas import softened
from pgsynth_core.data.window import Window
from pgsynth_core.errors import UserError, suggestion
from pgsynth_core.spec import Spec

__all__ = ["EVERYWHERE", "Edit", "EditInputs", "Keep", "Mask", "Reference", "read_edit"]

EVERYWHERE: Final = "all"
"""In the weights of a reference: wherever anything changes."""

Mask = str | Path | Image.Image | np.ndarray
"""What is to change: a picture of the photo's size, white where it is, black where not; or bool [H, W]."""

Keep = Literal["photo", "codec"]
"""What is outside of the mask: the photo's own pixels, at its size; or the source after the codec, at the method's."""


@dataclass(frozen=True)
class Reference:
    """A photo whose appearance is taken, and how much of it where.

    Attributes:
        photo: Of anybody.
        weights: Name of a region of the source -> from above 0 to 1, or ``all`` for everything that changes. What the
            weights of all references leave to 1, the source has itself; above 1, they are divided by their sum.
        parsing: Label map of this photo, for methods that read one; None: the one beside it, or what an annotator
            finds.
    """

    photo: Source
    weights: Mapping[str, float] = field(default_factory=lambda: {EVERYWHERE: 1.0})
    parsing: str | Path | None = None


@dataclass(frozen=True, kw_only=True)
class Edit:
    """What is to be edited. Of `mask` and `regions` one at most; with neither, the references' regions change.

    Attributes:
        source: The photo.
        references: One at least.
        mask: What is to change.
        regions: What is to change, by names of labels.
        pose: The source's own; None: the one beside the photo, or what an annotator finds.
        parsing: Label map of the source, where regions are named; None: the one beside the photo, or what an
            annotator finds.
        label_set: What its labels are of, where the file does not say it and the method reads none.
        person: Which of several people is meant, in the photo or a pose, see `data.people`.
        soft: Width of a soft edge around what changes, in pixels of the photo.
        keep: What is outside of it, see `Keep`.
        frame: How much of the photo the method is shown, see `own.Framing`; what is to change is always in it.
    """

    source: Source
    references: Sequence[Reference]
    mask: Mask | None = None
    regions: Sequence[str] = ()
    pose: Pose | None = None
    parsing: str | Path | None = None
    label_set: str = ""
    person: str | int = "most-certain"
    soft: float = 0.0
    keep: str = "photo"
    frame: str = "auto"


@dataclass(frozen=True, kw_only=True)
class EditInputs:
    """An edit, read.

    Attributes:
        photo: The whole of it, uint8 [H, W, 3].
        source: What the method is shown of it, with joints, and with a label map where there is one.
        references: The photos, with label maps where the method reads one.
        area: How far each pixel of the photo changes, 0 to 1.
        weights: Of each reference, label -> weight; None as a label is everywhere.
        window: Which part of the photo `source` is; None for all of it.
        fit: How the source lies in the method's picture.
        soft: As in `Edit`.
        keep: As in `Edit`.
    """

    photo: np.ndarray
    source: Person
    references: tuple[Person, ...]
    area: Float32[np.ndarray, "H W"]
    weights: tuple[Mapping[int | None, float], ...]
    window: Window | None
    fit: Fit
    soft: float
    keep: str

    @property
    def seen_area(self) -> np.ndarray:
        """How far each pixel of `source` changes."""
        return self.window.area(self.area) if self.window else self.area


def read_edit(
    wanted: Edit, spec: Spec, verdict: Verdict, looking: Looking, *, on_warning: OnWarning | None = None
) -> EditInputs:
    """Read and check everything that is given.

    Args:
        wanted: What is asked for.
        spec: Of the method: its size and fit.
        verdict: On it: which label maps it reads, and whether it reads a pose.
        looking: Who looks at photos for what is needed, and neither given nor beside them.
        on_warning: Told what is odd and done all the same.

    Raises:
        UserError: If a file cannot be read, sizes differ, a region is unknown or not in the photo, or something that
            is needed is not given.
    """
    _check_words(wanted, verdict)
    image = photo_of(wanted.source)
    size = image.shape[0], image.shape[1]
    people = tuple(_person(one, verdict, looking) for one in wanted.references)
    parsing, known = _label_map(wanted, image, verdict, looking)
    weights = tuple(_weights(one, known) for one in wanted.references)
    labels = {_label(region, known) for region in _regions(wanted)} if known else set()
    area = softened(_inside(wanted, parsing, labels, known, size), wanted.soft)
    if on_warning and not area.any():
        on_warning("the mask is black all over: nothing changes.")
    needed = "target_keypoints" in verdict.data_ports or wanted.frame == "person"
    joints = own_joints(wanted.source, image, looking, wanted.pose, needed=needed)
    source = Person("source", image, joints, parsing, known.name if known else "")
    window = _window(area, joints, spec.size, cast(FrameMode, wanted.frame))
    source = window.cut(source) if window else source
    fit = Fit(source.size, spec.size, "squash" if window else spec.fit)  # a window has the method's proportions
    if window is None:
        area = _in_the_picture(area, fit, on_warning)
    if needs_parsing(verdict) and parsing is None and _leaves_a_rest(weights):
        message = "the weights leave a rest to the source itself, whose label map this method reads."
        raise UserError(message, where="parsing", cure="Give it, or weights of 1.")
    return EditInputs(
        photo=image,
        source=source,
        references=people,
        area=area,
        weights=weights,
        window=window,
        fit=fit,
        soft=wanted.soft,
        keep=wanted.keep,
    )


def _window(area: np.ndarray, joints: Keypoints, size: tuple[int, int], mode: FrameMode) -> Window | None:
    """The window around the person and all that is to change; None where the whole photo is shown."""
    known = present(joints)
    if not known.any():
        return None
    rows, columns = np.nonzero(area)
    corners = [(columns.min(), rows.min()), (columns.max() + 1, rows.max() + 1)] if len(rows) else []
    places = np.concatenate([joints[known, :2], np.array(corners, np.float32).reshape(-1, 2)])
    return window_of(places, size, of=(area.shape[0], area.shape[1]), mode=mode)


def _leaves_a_rest(weights: Sequence[Mapping[int | None, float]]) -> bool:
    return sum(one.get(None, 0) for one in weights) < 1


def _check_words(wanted: Edit, verdict: Verdict) -> None:
    """What can be said of an edit before any file is read.

    Raises:
        UserError: If something does not go together or is not in its range.
    """
    if not wanted.references:
        raise UserError("there is no reference.", where="reference", cure="Give the photo whose appearance is taken.")
    if wanted.mask is not None and wanted.regions:
        cure = "Leave one out; with a mask, regions may still stand behind references, as weights."
        raise UserError("what is to change is said twice, by a mask and by regions.", where="mask", cure=cure)
    if wanted.mask is None and not _regions(wanted):
        cure = "Give a mask, or regions such as upper-clothes."
        raise UserError("nothing says what is to change.", where="mask", cure=cure)
    if not 0 <= wanted.soft < np.inf:
        raise UserError(f"soft is {wanted.soft}; it is a width in pixels, 0 or more.", where="soft", cure="Write 0.")
    words: dict[str, tuple[str, Sequence[str]]] = {
        "keep": (wanted.keep, get_args(Keep)),
        "frame": (wanted.frame, get_args(FrameMode)),
        "label_set": (wanted.label_set, ("", *LABELS)),
    }
    for name, (value, allowed) in words.items():
        if value not in allowed:
            raise UserError(f"{name} is {value!r}.", where=name, cure=suggestion(str(value), [*filter(None, allowed)]))
    for one in wanted.references:
        wrong = [f"{name}={weight:g}" for name, weight in one.weights.items() if not 0 < weight <= 1]
        if wrong or not one.weights:
            message = f"weights are above 0 and at most 1; given: {', '.join(wrong) or 'none'}."
            raise UserError(message, where="reference", cure="Write e.g. upper-clothes=0.5.")
    label_set = wanted.label_set or verdict.label_set
    for name in _named(wanted):
        _check_region(name, label_set, [label_set_of(label_set)] if label_set else LABELS.values())
    if wanted.label_set and wanted.mask is not None and wanted.parsing is None and not _named(wanted):
        message = "it says what the labels of a label map mean, and none is read."
        raise UserError(message, where="label_set", cure="Leave it out, or name regions.")


def _regions(wanted: Edit) -> tuple[str, ...]:
    """The regions that change; with neither a mask nor regions, those of the references."""
    if wanted.mask is not None or wanted.regions:
        return tuple(wanted.regions)
    return tuple(name for one in wanted.references for name in one.weights if name != EVERYWHERE)


def _named(wanted: Edit) -> list[str]:
    """All regions that are named, each once."""
    weighted = (name for one in wanted.references for name in one.weights if name != EVERYWHERE)
    return [*dict.fromkeys((*wanted.regions, *weighted))]


def _person(reference: Reference, verdict: Verdict, looking: Looking) -> Person:
    image, parsing = photo_of(reference.photo), reference.parsing
    if parsing is None and needs_parsing(verdict):
        parsing = file_beside(reference.photo, PARSING_SUFFIX)
    if parsing is None and needs_parsing(verdict):
        found = looking.labels(image, verdict.label_set, shown_as(reference.photo, "reference"))
        return Person("reference", image, no_keypoints(), found, verdict.label_set)
    return Person("reference", image, no_keypoints(), parsing_of(parsing, (image.shape[0], image.shape[1]), verdict))


def _label_map(
    wanted: Edit, image: np.ndarray, verdict: Verdict, looking: Looking
) -> tuple[np.ndarray | None, LabelSet | None]:
    """The source's label map and its labels, where regions are named or one is given."""
    named = _named(wanted)
    given = wanted.parsing
    if given is None and (named or verdict.label_set):
        given = file_beside(wanted.source, PARSING_SUFFIX)
    if given is None and not named:
        return None, None
    if given is None:
        needed = f"regions are named ({', '.join(named)}), and there is no label map of the source."
        cure = f"Give one, put it beside the photo as NAME{PARSING_SUFFIX}, or draw a mask instead"
        where = shown_as(wanted.source, "parsing")
        asked = verdict.label_set or wanted.label_set
        parsing, label_set = looking.label_map(image, asked, where, needed=needed, cure=cure)
    else:
        size = image.shape[0], image.shape[1]
        read, label_set = label_map_of(given, size, verdict, label_set=wanted.label_set)
        assert read is not None, "one is given"
        parsing = read
    return parsing, label_set_of(label_set)


def _weights(reference: Reference, known: LabelSet | None) -> dict[int | None, float]:
    """By label, names looked up."""
    return {
        None if name == EVERYWHERE or known is None else _label(name, known): float(weight)
        for name, weight in reference.weights.items()
    }


def _label(name: str, known: LabelSet) -> int:
    """The label of a region's name.

    Raises:
        UserError: If there is none.
    """
    _check_region(name, known.name, [known])
    return known.index(name)


def _check_region(name: str, of: str, known: Iterable[LabelSet]) -> None:
    """Refuse what is no region of any of these label sets, `of` being how they are called."""
    names = [*dict.fromkeys(name for one in known for name in one.names)]
    if name not in names:
        cure = suggestion(name, names, what=f"regions of {of}" if of else "regions")
        raise UserError(f"there is no region {name!r}.", where="region", cure=cure)


def _inside(
    wanted: Edit, parsing: np.ndarray | None, labels: Collection[int], known: LabelSet | None, size: tuple[int, int]
) -> np.ndarray:
    """Where the source changes, [H, W]."""
    if wanted.mask is not None:
        return _mask_of(wanted.mask, size)
    assert parsing is not None and known is not None, "regions are named"
    inside = np.isin(parsing, sorted(labels))
    if not inside.any():
        there = ", ".join(known.names[label] for label in np.unique(parsing) if label)
        names = " and ".join(known.names[label] for label in sorted(labels))
        cure = f"There is: {there}." if there else "There is nothing but background in it."
        raise UserError(f"the source's label map has no {names}.", where="region", cure=cure)
    return inside


def _mask_of(mask: Mask, size: tuple[int, int]) -> np.ndarray:
    """A mask as bool [H, W]; grey counts from the middle upwards.

    Raises:
        UserError: If it cannot be read, is coloured or transparent, or of another size than the photo.
    """
    where = str(mask) if isinstance(mask, str | Path) else "mask"
    cure = "White what is to change, black what stays, nothing transparent."
    if isinstance(mask, np.ndarray):
        if mask.ndim != 2 or mask.dtype != np.bool_:
            message = f"a mask is bool [H, W]; given: {mask.dtype} {list(mask.shape)}."
            raise UserError(message, where=where, cure="Write e.g. mask > 127, or give Image.fromarray(mask).")
        inside = mask
    else:
        try:
            rgb = photo_of(mask)
        except DataError as failure:
            raise DataError.of(failure.records, cure=f"Give a picture of the photo's size. {cure}") from failure
        if _transparent(mask):
            raise UserError("the mask is transparent in places, which may mean either.", where=where, cure=cure)
        if int(np.ptp(rgb.astype(np.int16), axis=2).max()) > 32:  # JPEG colours grey a little
            raise UserError("the mask is coloured.", where=where, cure=cure)
        inside = rgb.mean(axis=2) > 127.5
    if inside.shape != size:
        by = ["x".join(map(str, one)) for one in (inside.shape, size)]
        message = f"the mask is {by[0]}, and the photo is {by[1]}, height by width."
        raise UserError(message, where=where, cure="Draw it on the photo itself; a mask is never stretched.")
    return inside


def _transparent(mask: str | Path | Image.Image) -> bool:
    """Whether any pixel is not opaque."""
    if not isinstance(mask, Image.Image):
        with Image.open(mask) as opened:
            return _transparent(opened)
    if "A" not in mask.getbands() and "transparency" not in mask.info:
        return False
    return bool(np.asarray(mask.convert("RGBA"))[..., 3].min() < 255)


def _in_the_picture(area: np.ndarray, fit: Fit, on_warning: OnWarning | None) -> np.ndarray:
    """The area without what a crop cuts off, which is told."""
    left, top, right, bottom = fit.seen
    seen = np.zeros_like(area)
    seen[round(top) : round(bottom), round(left) : round(right)] = area[
        round(top) : round(bottom), round(left) : round(right)
    ]
    if on_warning and (cut := int((area > 0).sum() - (seen > 0).sum())):
        share = f"{100 * cut / (area > 0).sum():.0f} %"
        on_warning(f"{share} of what is to change is cut off, for this method crops photos; it stays as it is.")
    return seen
