"""Annotators of what is installed, chosen by name or by what they find, and built: nobody else knows the parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pgsynth_core.annotators import Annotator, AnnotatorContext, ParsingAnnotator, PoseAnnotator
from pgsynth_core.errors import PartError, UserError
from pgsynth_core.manifest import Finding
from pgsynth_core.metrics import NotComputed
from pgsynth_core.registry import Entry, Registry, configure, load_part
from pgsynth_core.spec.typed import option_value

__all__ = ["FLAG", "ChosenAnnotator", "annotators_for", "named_annotators", "pose_annotators"]

FLAG = "--annotator"
_KINDS: Mapping[Finding, Any] = {"pose": PoseAnnotator, "parsing": ParsingAnnotator}
_NOUNS: Mapping[Finding, str] = {"pose": "poses", "parsing": "label maps"}


@dataclass(frozen=True)
class ChosenAnnotator:
    """An annotator that is to be asked, not built yet.

    Attributes:
        entry: The part.
        options: Values of its options that are not its defaults.
    """

    entry: Entry
    options: Mapping[str, Any] = field(default_factory=dict)

    def built(self, device: str) -> Annotator:
        """The annotator itself; its weights are found, and fetched where the network allows.

        Raises:
            UserError: If that cannot be, or it is not what its manifest says.
        """
        from pgsynth_core.composition.hub import Weights

        kind, component = load_part(self.entry), self.entry.component
        for finding in component.finds:
            if not issubclass(kind, _KINDS[finding]):
                message = f"{component.target} is no {_KINDS[finding].__name__}, as its manifest says."
                raise PartError(message, where=str(self.entry.origin.manifest_path))
        config = configure(self.entry, {**component.defaults(), **self.options})
        made: Annotator = kind(config, AnnotatorContext(label=self.entry.name, weights=Weights(), device=device))
        return made


def annotators_for(
    registry: Registry, finds: Iterable[Finding], words: Sequence[str] = ()
) -> dict[Finding, ChosenAnnotator]:
    """Who finds what is wanted: who is named, else the manifest's default, else the only one installed.

    Args:
        registry: What is installed.
        finds: What is wanted.
        words: ``NAME`` takes that annotator, ``NAME.OPTION=VALUE`` sets an option of it, too.

    Raises:
        UserError: If a word names no annotator, option or value, or one that finds nothing of that; if two are named
            for one; or if nobody finds it, or nobody says which of several is meant.
    """
    named, wanted = named_annotators(registry, words), tuple(finds)
    for one in named.values():
        if not set(one.entry.component.finds) & set(wanted):
            what = " and ".join(_NOUNS[finding] for finding in one.entry.component.finds)
            asked = " and ".join(_NOUNS[finding] for finding in wanted)
            message = f"the annotator {one.entry.name} finds {what}, and {asked} are wanted."
            raise UserError(message, where=FLAG, cure=f"Leave it out, or ask for {what}.")
    return {finding: _finder(registry, finding, list(named.values())) for finding in wanted}


def named_annotators(registry: Registry, words: Sequence[str]) -> dict[str, ChosenAnnotator]:
    """Those that words name, by their full names; words are as for `annotators_for`.

    Raises:
        UserError: If one names no annotator, option or value.
    """
    found: dict[str, ChosenAnnotator] = {}
    for word in words:
        path, sign, text = word.partition("=")
        name, _, option = path.rpartition(".") if sign else (word, "", "")
        if sign and not name:
            raise UserError(f"{word!r} names no option.", where=FLAG, cure="Write NAME.OPTION=VALUE.")
        entry = registry.find("annotator", name, where=FLAG)
        before = found.get(entry.qualified, ChosenAnnotator(entry))
        more = {option: option_value(entry, option, text, where=FLAG)} if sign else {}
        found[entry.qualified] = ChosenAnnotator(entry, {**before.options, **more})
    return found


def _finder(registry: Registry, finding: Finding, named: Sequence[ChosenAnnotator]) -> ChosenAnnotator:
    """Who finds that."""
    mine = [one for one in named if finding in one.entry.component.finds]
    if len(mine) > 1:
        both = " and ".join(one.entry.name for one in mine)
        raise UserError(f"{both} both find {_NOUNS[finding]}.", where=FLAG, cure="Name one of them.")
    if mine:
        return mine[0]
    entry = _unnamed(registry, finding)
    if entry is None:
        raise UserError(_nobody(registry, finding), where=FLAG, cure=_choice(registry, finding, f"{FLAG} NAME"))
    return ChosenAnnotator(entry)


def _able(registry: Registry, finding: Finding) -> list[Entry]:
    return [entry for entry in registry.of_kind("annotator") if finding in entry.component.finds]


def _unnamed(registry: Registry, finding: Finding) -> Entry | None:
    """The default, else the only one there is."""
    able = _able(registry, finding)
    default = [entry for entry in able if entry.origin.first_party and entry.name in registry.defaults.annotators]
    return default[0] if default else able[0] if len(able) == 1 else None


def _nobody(registry: Registry, finding: Finding) -> str:
    able = _able(registry, finding)
    count = f"{len(able)} that do are installed" if able else "none is installed"
    return f"it needs an annotator that finds {_NOUNS[finding]}, and {count}."


def _choice(registry: Registry, finding: Finding, flag: str) -> str:
    able = _able(registry, finding)
    if not able:
        return "Install a package that brings one; what there is: pgsynth plugins list --kind annotator."
    return f"Say which: {flag}, of {', '.join(entry.qualified for entry in able)}."


# ------------------------------------------------------------------------------------------- for metrics
def pose_annotators(
    registry: Registry, device: str, given: Callable[[Entry], object] | None = None
) -> Callable[[str], PoseAnnotator]:
    """What gives metrics the annotators of poses that are installed.

    Args:
        registry: What is installed.
        device: Where they work.
        given: Told of each that is given.

    Returns:
        Name -> the annotator, built at its defaults and only once; with an empty name the default, see
        `annotators_for`. It raises NotComputed if there is none of that name, if several could be meant, or if it
        cannot be built here.
    """
    built: dict[str, PoseAnnotator] = {}

    def give(name: str) -> PoseAnnotator:
        entry = _for_metric(registry, name)
        if entry.qualified not in built:
            try:
                made = ChosenAnnotator(entry).built(device)
            except UserError as error:
                first = error.problems[0]
                raise NotComputed(f"the annotator {entry.name}: {first.message}", cure=first.cure) from error
            assert isinstance(made, PoseAnnotator), "it finds poses, and so was seen to be one"
            built[entry.qualified] = made
        if given:
            given(entry)
        return built[entry.qualified]

    return give


def _for_metric(registry: Registry, name: str) -> Entry:
    """The annotator that is meant.

    Raises:
        NotComputed: If none is, or several may be.
    """
    cure = _choice(registry, "pose", "--also METRIC.annotator=NAME")
    if not name:
        if (entry := _unnamed(registry, "pose")) is None:
            raise NotComputed(_nobody(registry, "pose"), cure=cure)
        return entry
    try:
        entry = registry.find("annotator", name)
    except UserError as error:
        raise NotComputed(error.problems[0]) from error
    if "pose" not in entry.component.finds:
        finds = " and ".join(_NOUNS[finding] for finding in entry.component.finds)
        raise NotComputed(f"the annotator {entry.name} finds {finds}, and no poses.", cure=cure)
    return entry
