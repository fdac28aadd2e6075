"""A protocol, its names resolved: at which size, resized how, by which metrics with which options.

Protocols are tables of manifests, so a package can bring its own; that of pgsynth has the field's two. Core names none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pgsynth_core.errors import PartError, Problem, SpecError, suggestion
from pgsynth_core.manifest import Scores
from pgsynth_core.metrics import Metric, MetricContext, NotComputed, PairMetric, SetMetric
from pgsynth_core.registry import Entry, Origin, Registry, TableEntry, configure, load_part
from pgsynth_core.shipped import ProtocolTable, Resizing
from pgsynth_core.spec.typed import option_value

__all__ = ["Bound", "Choice", "Protocol", "bind", "protocol_of"]

Size = tuple[int, int]


@dataclass(frozen=True)
class Choice:
    """A metric that is to be computed.

    Attributes:
        label: What it is called in the protocol, and its column.
        entry: The part.
        options: Values that are not its defaults.
    """

    label: str
    entry: Entry
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def scores(self) -> Scores:
        """What it gives."""
        scores = self.entry.component.scores
        assert scores is not None, "validated: a metric has [component.scores]"
        return scores


@dataclass(frozen=True)
class Protocol:
    """How results are scored.

    Attributes:
        name: By which it is asked for and results are labelled: plain of pgsynth's own, ``package:name`` of others, so
            that nobody's numbers pass for those of another's protocol of that name.
        summary: What it is.
        sizes: (height, width) at which it may compare; none: any.
        predictions: How a prediction is brought to the size.
        truths: How a truth is.
        reference: What sets of predictions are compared with.
        metrics: In the order of the columns.
    """

    name: str
    summary: str
    sizes: tuple[Size, ...]
    predictions: Resizing
    truths: Resizing
    reference: Literal["truths", "training"]
    metrics: tuple[Choice, ...]

    def size(self, given: str) -> Size | None:
        """The size that is asked for: ``HxW``, or empty for the protocol's first; None: as the pictures are.

        Raises:
            SpecError: If it is none, or not one of the protocol's.
        """
        if not given:
            return self.sizes[0] if self.sizes else None
        height, sign, width = given.partition("x")
        size = (int(height), int(width)) if sign and (height + width).isdecimal() and len(given) < _LONG else None
        if size is None or 0 in size:
            raise SpecError(f"{given!r} is no size.", where="--size", cure="Write HEIGHTxWIDTH, e.g. 256x176.")
        if self.sizes and size not in self.sizes:
            allowed = [f"{one}x{other}" for one, other in self.sizes]
            raise SpecError(
                f"the protocol {self.name} does not compare at {given}.",
                where="--size",
                cure=suggestion(given, allowed, what="sizes"),
            )
        return size


_LONG = 12


def protocol_of(
    registry: Registry, name: str = "", *, metrics: Sequence[str] = (), also: Sequence[str] = ()
) -> Protocol:
    """The protocol of that name.

    Args:
        registry: What is installed.
        name: Plain or qualified; empty for the default.
        metrics: Only these, by the protocol's labels; none: all of it.
        also: Metrics besides: names of parts, or ``NAME.OPTION=VALUE`` once for each option that is not its default.

    Raises:
        SpecError: If there is no such protocol, metric, option or value.
        PartError: If the protocol names a part or an option that is not there.
    """
    entry = registry.find_protocol(name or registry.defaults.protocol, where="--protocol")
    table = entry.table
    chosen = [_choice(registry, entry, label) for label in table.metrics]
    if metrics:
        chosen = [_of_label(chosen, label, entry.name) for label in dict.fromkeys(metrics)]
    labels = {choice.label for choice in chosen}
    for found in _besides(registry, also):
        if found.label not in labels:
            chosen.append(found)
        elif found.options:
            message = f"the protocol {entry.name} has {found.label} already, with options of its own."
            raise SpecError(message, where="--also", cure="Leave it out of the protocol's: --metrics LIST.")
    sizes = tuple((int(height), int(width)) for height, _, width in (size.partition("x") for size in table.sizes))
    label = table.name if entry.origin.first_party else entry.qualified
    return Protocol(label, table.summary, sizes, table.predictions, table.truths, table.reference, tuple(chosen))


def _besides(registry: Registry, also: Sequence[str]) -> Iterable[Choice]:
    """The metrics that these words add, each once.

    Raises:
        SpecError: If one names no metric, option or value.
    """
    found: dict[str, Choice] = {}
    for word in also:
        path, sign, text = word.partition("=")
        name, _, option = path.rpartition(".") if sign else (word, "", "")
        if sign and not name:
            raise SpecError(f"{word!r} names no option.", where="--also", cure="Write NAME.OPTION=VALUE.")
        entry = registry.find("metric", name, where="--also")
        choice = found.setdefault(entry.name, Choice(entry.name, entry))
        if sign:
            value = option_value(entry, option, text, where="--also")
            found[entry.name] = replace(choice, options={**choice.options, option: value})
    return found.values()


def _choice(registry: Registry, protocol: TableEntry[ProtocolTable], label: str) -> Choice:
    use = protocol.table.metrics[label]
    where = f"{protocol.origin.manifest_path}: protocol {protocol.name}"
    entry = registry.find("metric", use.part, where=where, package=protocol.origin.package)
    for option, value in use.options.items():
        declared = entry.component.options.get(option)
        if declared is None:
            cure = suggestion(option, tuple(entry.component.options), what="options")
            raise PartError(f"the metric {entry.name} has no option {option!r}.", where=where, cure=cure)
        if not declared.allows(value):
            raise PartError(f"{entry.name}.{option} = {value!r} is not what that option takes.", where=where)
    return Choice(label, entry, use.options)


def _of_label(chosen: Iterable[Choice], label: str, protocol: str) -> Choice:
    by_label = {choice.label: choice for choice in chosen}
    if label not in by_label:
        message = f"the protocol {protocol} has no metric {label!r}."
        cure = f"{suggestion(label, tuple(by_label), what='its metrics')} Others are added with --also."
        raise SpecError(message, where="--metrics", cure=cure)
    return by_label[label]


# ------------------------------------------------------------------------------------------- built
@dataclass(frozen=True)
class Bound:
    """A metric that is built and can be asked.

    Attributes:
        choice: The part and its options.
        metric: The part, built.
        packages: Others than pgsynth that it comes from, annotators' too -> version.
    """

    choice: Choice
    metric: Metric
    packages: Mapping[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """What its column is called."""
        return self.choice.label

    @property
    def device(self) -> bool:
        """Whether it works in batches with torch."""
        return self.choice.scores.device

    def facts(self) -> dict[str, Any]:
        """What its numbers are, as plain data."""
        scores = self.choice.scores
        said = {"id": self.metric.id, "better": scores.better, "unit": scores.unit}
        return {**said, "definition": self.metric.definition, "digits": scores.digits, "of": scores.of}


def bind(
    choices: Iterable[Choice],
    context: Callable[[str], MetricContext],
    besides: Callable[[], Iterable[Origin]] = tuple,
) -> tuple[tuple[Bound, ...], dict[str, Problem]]:
    """Build metrics.

    Args:
        choices: Which.
        context: Label -> what a metric may know.
        besides: Where other parts come from that the metric which was just built asked for.

    Returns:
        Those that can be computed here, and label -> why of the others.

    Raises:
        PartError: If a part cannot be imported, but for an extra that is not installed, or is no metric.
    """
    bound, missing = [], {}
    for choice in choices:
        try:
            built = _built(choice, context(choice.label))
            origins = [one for one in (choice.entry.origin, *besides()) if not one.first_party]
            bound.append(Bound(choice, built, {one.package: one.version for one in origins}))
        except NotComputed as error:
            missing[choice.label] = error.problems[0]
    return tuple(bound), missing


def _built(choice: Choice, context: MetricContext) -> Metric:
    component = choice.entry.component
    config = configure(choice.entry, {**component.defaults(), **choice.options})
    try:
        kind = load_part(choice.entry)
    except PartError as error:
        if component.extra and isinstance(error.__cause__, ModuleNotFoundError):
            raise NotComputed(replace(error.problems[0], where="")) from error
        raise
    wanted = PairMetric if choice.scores.of == "pair" else SetMetric
    if not issubclass(kind, wanted):
        message = f"metric {choice.entry.name}: {component.target} is no {wanted.__name__}, as its manifest says."
        raise PartError(message, where=str(choice.entry.origin.manifest_path))
    try:
        metric: Metric = kind(config, context)
    except ModuleNotFoundError as error:
        if not component.extra:
            raise
        cure = f'Install what it needs: pip install "{choice.entry.origin.package}[{component.extra}]".'
        raise NotComputed(f"it needs {error.name}, which is not installed.", cure=cure) from error
    return metric
