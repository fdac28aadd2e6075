"""Annotators of what is installed, built: for whoever scores, and must not know which parts there are."""

from __future__ import annotations

from collections.abc import Callable

from pgsynth_core.annotators import AnnotatorContext, PoseAnnotator
from pgsynth_core.errors import PartError, UserError
from pgsynth_core.metrics import NotComputed
from pgsynth_core.registry import Entry, Registry, configure, load_part

__all__ = ["pose_annotators"]

_POSE = "pose"


def pose_annotators(
    registry: Registry, device: str, given: Callable[[Entry], object] | None = None
) -> Callable[[str], PoseAnnotator]:
    """What gives metrics the annotators of poses that are installed.

    Args:
        registry: What is installed.
        device: Where they work.
        given: Told of each that is given.

    Returns:
        Name -> the annotator, built at its defaults and only once; with an empty name the only one there is. It raises
        NotComputed if there is none of that name, if several could be meant, or if it cannot be built here.
    """
    built: dict[str, PoseAnnotator] = {}

    def give(name: str) -> PoseAnnotator:
        entry = _chosen(registry, name)
        if entry.qualified not in built:
            try:
                built[entry.qualified] = _built(entry, device)
            except UserError as error:
                first = error.problems[0]
                raise NotComputed(f"the annotator {entry.name}: {first.message}", cure=first.cure) from error
        if given:
            given(entry)
        return built[entry.qualified]

    return give


def _chosen(registry: Registry, name: str) -> Entry:
    """The annotator that is meant.

    Raises:
        NotComputed: If none is, or several may be.
    """
    able = [entry for entry in registry.of_kind("annotator") if _POSE in entry.component.finds]
    if name:
        try:
            entry = registry.find("annotator", name)
        except UserError as error:
            raise NotComputed(error.problems[0]) from error
        if entry not in able:
            finds = " and ".join(entry.component.finds)
            raise NotComputed(f"the annotator {entry.name} finds {finds}, and no poses.", cure=_named(able))
        return entry
    if len(able) != 1:
        count = f"{len(able)} that do are installed" if able else "none is installed"
        raise NotComputed(f"it needs an annotator that finds poses, and {count}.", cure=_named(able))
    return able[0]


def _named(able: list[Entry]) -> str:
    if not able:
        return "Install a package that brings one; what there is: pgsynth plugins list --kind annotator."
    names = ", ".join(entry.qualified for entry in able)
    return f"Say which by the metric's option: --also METRIC.annotator=NAME, of {names}."


def _built(entry: Entry, device: str) -> PoseAnnotator:
    from pgsynth_core.composition.hub import Weights

    kind = load_part(entry)
    if not issubclass(kind, PoseAnnotator):
        message = f"{entry.component.target} is no PoseAnnotator, as its manifest says."
        raise PartError(message, where=str(entry.origin.manifest_path))
    config = configure(entry, entry.component.defaults())
    made: PoseAnnotator = kind(config, AnnotatorContext(label=entry.name, weights=Weights(), device=device))
    return made
