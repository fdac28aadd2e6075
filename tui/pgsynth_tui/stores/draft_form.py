"""The form of a draft: a field for everything that can be set, with what may be written there and what is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pgsynth_core.manifest import Option
from pgsynth_core.spec import (
    GROUPS,
    KIND_OF_SLOT,
    PLAIN_OPTIONS,
    TABLES,
    SampleSettings,
    Setting,
    TrainSettings,
    options_of,
)
from pgsynth_core.spec.values import default_of
from pgsynth_tui.stores.draft_findings import Finding
from pgsynth_tui.stores.draft_reading import Reading
from pgsynth_tui.stores.draft_values import below, leaves, plain, said

__all__ = ["Field", "Group", "form", "more_fields"]


_DEFAULTS: Final = {
    **leaves("train", TrainSettings().model_dump()),
    **leaves("sample", SampleSettings().model_dump()),
}


@dataclass(frozen=True)
class Field:
    """One value that can be set.

    Attributes:
        path: As an override writes it.
        option: Its type, range, choices and help.
        default: What it is if nobody says otherwise; None if that is nothing.
        source: What the preset or file has; the default if it does not have the part.
        value: What the draft has; where that is wrong, what it would have without it.
        text: What stands in the field: the value as typed, even if it is wrong.
        wrong: Whether it is.
        problem: Why; or why the contract refuses the value.
        inactive: Why it changes nothing as the others are; empty if it does.
    """

    path: str
    option: Option
    default: Any
    source: Any
    value: Any
    text: str
    wrong: bool = False
    problem: Finding | None = None
    inactive: str = ""

    @property
    def name(self) -> str:
        """Its last name."""
        return self.path.rpartition(".")[2]

    @property
    def type(self) -> str:
        """``bool``, ``int``, ``float``, ``str``, ``path``, ``choice``, ``sites`` or ``list[...]``."""
        return self.option.type

    @property
    def choices(self) -> tuple[Any, ...]:
        """What alone may be written; empty if that is no list."""
        return self.option.choices or ((True, False) if self.type == "bool" else ())

    @property
    def range(self) -> tuple[float | None, float | None]:
        """The least and the most."""
        return self.option.ge, self.option.le

    @property
    def help(self) -> str:
        """What it is."""
        return self.option.help

    @property
    def changed(self) -> bool:
        """Whether the draft has another value than the preset, or a wrong one."""
        return self.wrong or self.value != self.source

    @property
    def at_default(self) -> bool:
        """Whether it is what it would be if nobody said anything."""
        return not self.wrong and self.value == self.default


@dataclass(frozen=True)
class Group:
    """The fields of a part or section.

    Attributes:
        path: ``encoder.qfft``, ``train``; of size and fit, ``size``.
        title: The label, or the section.
        part: Qualified name; empty for a section.
        summary: What the part is.
        fields: In the manifest's order.
        more: Paths that may be set besides, e.g. the scale of one condition.
    """

    path: str
    title: str
    fields: tuple[Field, ...]
    part: str = ""
    summary: str = ""
    more: tuple[str, ...] = ()


def form(reading: Reading) -> tuple[Group, ...]:
    """Every group: the parts in the order of a spec, then size, train and sample; none if nothing can be shown."""
    if reading.spec is None:
        return ()
    return (*_parts(reading), _plain(reading), *(_section(reading, section) for section in TABLES))


def more_fields(reading: Reading, group: Group) -> tuple[Field, ...]:
    """Fields for the paths of a group that may be set besides."""
    options = ((path, TABLES[group.path][path.split(".")[1]].option) for path in group.more)
    return tuple(_field(reading, path, option.model_copy(update={"default": None}), None) for path, option in options)


def _parts(reading: Reading) -> Iterator[Group]:
    for slot in KIND_OF_SLOT:
        for choice in reading.parts(slot):
            component = reading.component(slot, choice)
            path = f"{slot}.{choice.label}"
            fields = tuple(
                _field(reading, f"{path}.{name}", option, plain(default_of(option)), _idle(option, choice.options))
                for name, option in options_of(component).items()
            )
            yield Group(path, choice.label, fields, choice.part, component.summary)


def _plain(reading: Reading) -> Group:
    base = reading.parts("base")[0]
    defaults = {"size": reading.component("base", base).size, "fit": PLAIN_OPTIONS["fit"].default}
    fields = tuple(_field(reading, path, option, defaults[path]) for path, option in PLAIN_OPTIONS.items())
    return Group("size", "size", fields)


def _section(reading: Reading, section: str) -> Group:
    fields: list[Field] = []
    more: list[str] = []
    for key, setting in TABLES[section].items():
        path = f"{section}.{key}"
        if setting.names is None:
            fields.append(_field(reading, path, setting.option, plain(default_of(setting.option))))
            continue
        fields += _of_mapping(reading, path, setting)
        more += [f"{path}.{name}" for name in _names(reading, setting) if not below(reading.values, f"{path}.{name}")]
    return Group(section, section, tuple(fields), more=tuple(more))


def _of_mapping(reading: Reading, path: str, setting: Setting) -> Iterator[Field]:
    """A field for each value that a mapping holds, and for what was typed wrongly at one of its paths."""
    for leaf in dict.fromkeys((*below(reading.values, path), *below(reading.wrong, path))):
        option = setting.keys.get(leaf.rpartition(".")[2], setting.option)
        yield _field(reading, leaf, option, _DEFAULTS.get(leaf))


def _names(reading: Reading, setting: Setting) -> tuple[str, ...]:
    labels = (choice.label for slot in ("encoder", "pose") for choice in reading.parts(slot))
    return setting.names or (*GROUPS, *labels)


def _field(reading: Reading, path: str, option: Option, default: Any, inactive: str = "") -> Field:
    value = reading.values.get(path)
    problem = next((one for one in reading.refusals if one.path == path), None)
    typed = reading.draft.override_at(path)
    return Field(
        path,
        option,
        default,
        reading.source.values.get(path, default),
        value,
        said(value) if typed is None else typed,
        path in reading.wrong,
        problem,
        inactive,
    )


def _idle(option: Option, options: Mapping[str, Any]) -> str:
    """What the other options must be for it to act; empty if they are."""
    if not option.idle(options):
        return ""
    wanted = (f"{name}={' or '.join(map(said, values))}" for name, values in option.when.items())
    return f"It acts with {' and '.join(wanted)}."
