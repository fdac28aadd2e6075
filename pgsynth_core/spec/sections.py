"""The rest of a spec: `size`, `fit`, `adapters`, `train`, `sample`; and the names of conditions in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, get_args

from pgsynth_core.errors import suggestion
from pgsynth_core.manifest import Option
from pgsynth_core.spec.draft import Draft
from pgsynth_core.spec.model import Fit
from pgsynth_core.spec.nodes import DEFAULT, NOWHERE, Node, Problems
from pgsynth_core.spec.parts import Chosen
from pgsynth_core.spec.schedules import Schedule
from pgsynth_core.spec.settings import GROUPS, SETTINGS, TABLES, Setting, TrainSettings, evaluations
from pgsynth_core.spec.values import BadValue, checked

MAX_SIDE: Final = 8192
"""Longest image side in pixels."""

PLAIN_OPTIONS: Final[Mapping[str, Option]] = {
    "size": Option(type="str", default="", help=f"HEIGHTxWIDTH, sides 1 to {MAX_SIDE}; the base's own if not given."),
    "fit": Option(type="choice", default="squash", choices=get_args(Fit), help="How an image gets there."),
}
"""Top-level keys that are neither a part nor a section."""

_SIZE: Final = re.compile(r"([0-9]{1,5}) ?[xX×] ?([0-9]{1,5})")
_SIDE_OPTION: Final = Option(type="int", default=0, ge=1, help="A width.")
_SIZE_CURE: Final = f"Write HEIGHTxWIDTH in pixels, e.g. 512x352; a side has 1 to {MAX_SIDE}."


@dataclass
class Sections:
    """Values of everything that is no part.

    Attributes:
        values: Fields of `Spec` that were given or have a default of the base.
        origins: Path -> where its value comes from.
        warnings: Settings without effect.
    """

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def read_sections(draft: Draft, chosen: Chosen) -> Sections:
    """Check and complete every section of a draft; what is wrong goes to the draft's problems."""
    sections = Sections()
    for name, reader in (("size", _size), ("fit", _fit)):
        sections.values[name] = reader(draft, chosen)
        sections.origins[name] = draft.plain[name].mark.origin if name in draft.plain else DEFAULT.origin
    sections.values["adapters"] = _adapters(draft, chosen, sections)
    for section, model in SETTINGS.items():
        given = _settings(section, draft, chosen)
        complete = model().model_dump() | given
        sections.values[section] = complete
        sections.origins |= _setting_origins(section, complete, draft.sections[section])
    _warn(draft, chosen, sections)
    return sections


# ------------------------------------------------------------------------------------------- size and fit
def _size(draft: Draft, chosen: Chosen) -> tuple[int, int] | None:
    node = draft.plain.get("size")
    given = node.value if node else _size_of_base(chosen)
    size = _parsed_size(given)
    if size is None:
        if node is not None:
            draft.problems.add(f"size is {node.said()}.", node.mark, _SIZE_CURE)
        elif given:
            draft.problems.add(f"the base's own size is {given!r}, which is no size.", NOWHERE, _SIZE_CURE)
        return None
    if node is not None and (fault := _stride_fault(size, chosen)):
        draft.problems.add(fault[0], node.mark, fault[1])
    return size


def _size_of_base(chosen: Chosen) -> str:
    bases = chosen.slots["base"]
    return chosen.entries[bases[0].label].component.size if bases else ""


def _parsed_size(given: object) -> tuple[int, int] | None:
    sides: list[object] = []
    if isinstance(given, str) and (match := _SIZE.fullmatch(given.strip())):
        sides = [int(match[1]), int(match[2])]
    elif isinstance(given, tuple):
        sides = [item.value for item in given]
    if len(sides) != 2:
        return None
    height, width = sides
    whole = isinstance(height, int) and isinstance(width, int) and bool not in (type(height), type(width))
    if not whole or not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE):  # type: ignore[operator]
        return None
    return height, width  # type: ignore[return-value]


def _stride_fault(size: tuple[int, int], chosen: Chosen) -> tuple[str, str] | None:
    """The latent has whole cells only, so both sides must be multiples of the base's stride."""
    bases = chosen.slots["base"]
    if not bases:
        return None
    try:
        stride = chosen.entries[bases[0].label].component.pixels_per_cell(bases[0].options)
    except (KeyError, ValueError):  # an option value that was refused above
        return None
    if not any(side % stride for side in size):
        return None
    near = "x".join(str(max(stride, round(side / stride) * stride)) for side in size)
    found = f"size is {size[0]}x{size[1]}; {bases[0].label} needs multiples of {stride}."
    return found, f"Write e.g. {near}."


def _fit(draft: Draft, chosen: Chosen) -> str:
    node = draft.plain.get("fit")
    value = _value("fit", PLAIN_OPTIONS["fit"], node, draft.problems) if node else None
    return str(value or PLAIN_OPTIONS["fit"].default)


def _value(path: str, option: Option, node: Node, problems: Problems, cure: str = "") -> Any:
    """The checked value; None where it is wrong, after saying so, with a cure of its own or the usual one."""
    try:
        return checked(path.rpartition(".")[2], option, node)
    except BadValue as error:
        problems.add(f"{path}: {error.message}", node.mark, cure or error.cure)
        return None


# ------------------------------------------------------------------------------------------- adapters
def _adapters(draft: Draft, chosen: Chosen, sections: Sections) -> dict[str, dict[str, tuple[int, int]]]:
    found: dict[str, dict[str, tuple[int, int]]] = {}
    labels = [label for parts in draft.slots.values() for label in parts]
    for label, ports in draft.sections["adapters"].items():
        if label not in labels and not draft.unread:
            cure = suggestion(label, labels, what="parts")
            draft.problems.add(f"adapters: there is no part {label!r}.", ports.mark, cure)
        if not isinstance(ports.value, dict):
            cure = f"Write adapters: {{{label}: {{PORT: [GIVEN, WANTED]}}}}."
            draft.problems.add(f"adapters.{label} is {ports.said()}; it takes ports.", ports.mark, cure)
            continue
        for port, widths in ports.value.items():
            if (pair := _pair(f"adapters.{label}.{port}", widths, draft.problems)) is not None:
                found.setdefault(label, {})[port] = pair
                sections.origins[f"adapters.{label}.{port}"] = widths.mark.origin
    return found


def _pair(path: str, node: Node, problems: Problems) -> tuple[int, int] | None:
    if not isinstance(node.value, tuple) or len(node.value) != 2:
        problems.add(f"{path} is {node.said()}; it takes two widths.", node.mark, "Write [GIVEN, WANTED].")
        return None
    given, wanted = (_value(path, _SIDE_OPTION, item, problems) for item in node.value)
    return None if given is None or wanted is None else (given, wanted)


# ------------------------------------------------------------------------------------------- train and sample
def _settings(section: str, draft: Draft, chosen: Chosen) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, node in draft.sections[section].items():
        setting, path = TABLES[section][key], f"{section}.{key}"
        if setting.names is None:
            value = _value(path, setting.option, node, draft.problems)
        else:
            value = _named(path, setting, node, (draft.problems, chosen))
        if value is not None:
            values[key] = value
    return values


def _named(path: str, setting: Setting, node: Node, context: tuple[Problems, Chosen]) -> dict[str, Any] | None:
    problems, chosen = context
    if not isinstance(node.value, dict):
        if setting.shorthand:
            value = _by_step(path, setting, node, problems)
            return None if value is None else {setting.shorthand: value}
        names = ", ".join(f"{name}: 1.0" for name in setting.names or GROUPS[:1])
        problems.add(f"{path} is {node.said()}; it takes a mapping.", node.mark, f"Write {path}: {{{names}}}.")
        return None
    values: dict[str, Any] = {}
    for name, item in node.value.items():
        if setting.shorthand and item.value in (None, "none"):  # a term that is taken out
            continue
        if cure := _unknown_name(f"{path}.{name}", setting, chosen):
            noun = "key" if setting.names else "condition"
            problems.add(f"{path}: there is no {noun} {name!r}.", item.mark, cure)
        values[name] = _by_step(f"{path}.{name}", setting, item, problems)
    if setting.names:  # a key that is left out keeps its default
        values = {name: values.get(name, setting.option.default) for name in setting.names}
    return values


def _by_step(path: str, setting: Setting, node: Node, problems: Problems) -> Any:
    """The checked value under a name: a number, or where the setting has keys, a schedule in its canonical form."""
    if not setting.keys:
        return _value(path, setting.option, node, problems)
    if isinstance(node.value, tuple):
        first = next(iter(setting.keys))
        place = path if path.count(".") > 1 else f"{path}.{setting.shorthand}"
        cure = f"Write a number there, or the list at {place}.{first}."
        problems.add(f"{path} is {node.said()}; it takes a number or a mapping.", node.mark, cure)
        return None
    if not isinstance(node.value, dict):
        return _value(path, setting.option, node, problems)
    if not node.value:
        cure = f"Write a number, or keys of it: {', '.join(setting.keys)}."
        problems.add(f"{path} is {node.said()}.", node.mark, cure)
        return None
    found = {key: _key(f"{path}.{key}", setting, item, problems) for key, item in node.value.items()}
    values = {key: found.get(key, option.default) for key, option in setting.keys.items()}
    if len(found.keys() | values.keys()) > len(values) or None in values.values():
        return None
    if values["from"] >= values["until"]:
        ends = f"from {values['from']:g} until {values['until']:g}"
        cure = "Write from less than until; 0 is the first step, 1 the end."
        problems.add(f"{path}: {ends} is no interval of the steps.", node.mark, cure)
        return None
    return Schedule.model_validate(values).canonical()


def _key(path: str, setting: Setting, node: Node, problems: Problems) -> Any:
    """The checked value of one key of a schedule; None where it is wrong, after saying so. The first may be a list."""
    key = path.rpartition(".")[2]
    if key not in setting.keys:
        cure = suggestion(key, tuple(setting.keys), what="keys")
        problems.add(f"{path.removesuffix(f'.{key}')} has no key {key!r}.", node.mark, cure)
        return None
    option = setting.keys[key]
    if not isinstance(node.value, tuple) or key != next(iter(setting.keys)):
        return _value(path, option, node, problems)
    if not node.value:
        problems.add(f"{path} is an empty list.", node.mark, "Write a number, or a list of one or more: [5, 1].")
        return None
    cure = "Write the numbers between brackets, e.g. [5, 1]."
    values = [_value(path, option, item, problems, cure) for item in node.value]
    return None if None in values else tuple(values)


def _unknown_name(path: str, setting: Setting, chosen: Chosen) -> str:
    """The cure for a name that is none; empty if it is one, or may be one of a part that could not be read."""
    mapping, _, name = path.rpartition(".")
    if setting.names:
        return "" if name in setting.names else suggestion(name, setting.names)
    allowed = (*GROUPS, *chosen.labels["appearance"], *chosen.labels["pose"])
    if name in allowed or name in chosen.hoped or not chosen.complete:
        return ""
    if name in setting.keys:
        return f"It is a key of one condition's scale: write it at {mapping}.{setting.shorthand}.{name}."
    return suggestion(name, allowed, what="conditions")


def _setting_origins(section: str, complete: Mapping[str, Any], written: Mapping[str, Node]) -> dict[str, str]:
    origins: dict[str, str] = {}
    for key, value in complete.items():
        origins |= _origins(f"{section}.{key}", value, written.get(key))
    return origins


def _origins(path: str, value: Any, node: Node | None) -> dict[str, str]:
    """Where the leaves of a value come from; a mapping may stand for a value that was written plainly."""
    if not isinstance(value, dict) or not value:
        return {path: node.mark.origin if node else DEFAULT.origin}
    origins: dict[str, str] = {}
    for name, inner in value.items():
        own = node.value.get(name) if node and isinstance(node.value, dict) else node
        origins |= _origins(f"{path}.{name}", inner, own)
    return origins


# ------------------------------------------------------------------------------------------- without effect
def _warn(draft: Draft, chosen: Chosen, sections: Sections) -> None:
    """Warn of what was written and changes nothing; defaults may."""
    train, sample = sections.values["train"], sections.values["sample"]
    if guidance := draft.sections["sample"].get("guidance"):
        sections.warnings += _without_guidance(guidance, chosen, sample)
    drop = draft.sections["train"].get("drop")
    for name in train["drop"]:
        if drop and not _covered(name, chosen):
            sections.warnings.append(f"{drop.mark}: train.drop.{name} has no effect: there is no such part.")
    warmup = draft.sections["train"].get("warmup_steps")
    if warmup and train["warmup_steps"] > train["steps"]:
        reason = f"warmup_steps is more than the {train['steps']} steps"
        sections.warnings.append(f"{warmup.mark}: train.learning_rate is never reached: {reason}.")
    project = draft.sections["train"].get("tracker_project")
    if project and not train["trackers"] and train["tracker_project"] != TrainSettings().tracker_project:
        sections.warnings.append(f"{project.mark}: train.tracker_project has no effect: train.trackers names none.")


def _without_guidance(guidance: Node, chosen: Chosen, sample: Mapping[str, Any]) -> Iterator[str]:
    """What was written of guidance and guides nothing; a plain 1 is meant to."""
    covered: dict[str, set[str]] = {}
    count = evaluations(sample["scheduler"], sample["steps"])
    for name, scale in sample["guidance"].items():
        conditions, fault = _covered(name, chosen), ""
        if not conditions:
            fault = "has no effect: there is no such part"
        elif conditions <= set().union(*covered.values()):
            terms = (f"sample.guidance.{term}=none" for term, those in covered.items() if those & conditions)
            fault = f"has no effect: the names before it cover it; take those out: {' '.join(terms)}"
        elif isinstance(scale, dict) and not (schedule := Schedule.model_validate(scale)).holds(count):
            interval = f"from {schedule.begin:g} until {schedule.until:g}"
            fault = f"guides nothing: none of the {sample['steps']} steps lies {interval}"
        elif isinstance(scale, dict) and set(schedule.by_step(count)) == {1.0}:
            fault = "guides nothing: its scale is 1 at every step, in its interval as outside of it"
        if fault:
            own = guidance.value.get(name) if isinstance(guidance.value, dict) else None
            yield f"{(own or guidance).mark}: sample.guidance.{name} {fault}."
        covered[name] = conditions


def _covered(name: str, chosen: Chosen) -> set[str]:
    """The conditions that a name means; without a pose branch, ``pose`` is what processors see of the target pose."""
    poses, appearance = chosen.labels["pose"] or ["pose"], chosen.labels["appearance"]
    return set({"pose": poses, "appearance": appearance, "all": poses + appearance}.get(name, [name]))
