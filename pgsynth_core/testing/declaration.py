"""Checks of what a part declares: its manifest, its Config and that the two are one; nothing is built."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from pgsynth_core import interfaces
from pgsynth_core.annotators import Annotator, ParsingAnnotator, PoseAnnotator
from pgsynth_core.axes import LABEL_SETS
from pgsynth_core.data import Dataset
from pgsynth_core.errors import PartError
from pgsynth_core.manifest import SLOTS, Component, Kind, Option
from pgsynth_core.metrics import PairMetric, SetMetric
from pgsynth_core.options import PartConfig, option_table
from pgsynth_core.registry import Origin, load_config, load_part, normalised
from pgsynth_core.spec import PartChoice, Spec, resolve
from pgsynth_core.testing.probe import Probed, probe
from pgsynth_core.testing.subject import Skip, Subject

BASE_CLASSES: Final[Mapping[Kind, type]] = {
    "base": interfaces.Base,
    "encoder": interfaces.Encoder,
    "pose": interfaces.PoseBranch,
    "attention": interfaces.AttentionProcessor,
    "dataset": Dataset,
    "annotator": Annotator,
}

MOST_IMPORT_SECONDS: Final = 1.0
"""CPU seconds that importing a Config may take, beyond pgsynth's own options."""
MOST_BASELINES: Final = 5.0
"""Or so many times what starting Python with these takes, if that is more: on a slow machine everything is slow."""
MEASUREMENTS: Final = 3
"""The best of so many; the first that is quick enough will do."""


@cache
def _probed(module: str, path: Path, package: str) -> Probed:
    """One import in a process of its own, for all checks of a Config's module; `path` tells packages of one name."""
    return probe(module, package=package)


def _declared(subject: Subject) -> Probed:
    path = subject.entry.origin.manifest_path
    return _probed(_module(subject), path, "" if subject.entry.origin.first_party else str(path.parent))


def _module(subject: Subject) -> str:
    return subject.entry.component.config.partition(":")[0]


def config_can_be_imported(subject: Subject) -> None:
    """The module of the Config is imported, in a process of its own, and the process goes on."""
    probed = _declared(subject)
    refused = ", ".join(probed.traces)
    fault = f"cannot be imported: {probed.fault}" if probed.fault else ""
    assert not fault, f"{_module(subject)} {fault}{f' (it {refused})' if refused else ''}"


def config_imports_no_torch(subject: Subject) -> None:
    """The module of the Config imports neither torch nor a model library: options are read without them."""
    heavy = _declared(subject).heavy
    assert not heavy, f"{_module(subject)} imports {', '.join(heavy)}; move what needs them into the module of `target`"


def config_is_quick(subject: Subject) -> None:
    """Importing the Config takes under a second of CPU: a list of parts with their options must be instant."""
    measured = [_declared(subject)]
    while _slow(measured[-1]) and len(measured) < MEASUREMENTS:
        measured.append(probe(_module(subject)))
    best = min(measured, key=lambda one: one.seconds)
    ceiling = max(MOST_IMPORT_SECONDS, MOST_BASELINES * best.baseline)
    assert not _slow(best), f"importing {_module(subject)} takes {best.seconds:.1f} seconds; at most {ceiling:.1f}"


def _slow(probed: Probed) -> bool:
    return probed.seconds > max(MOST_IMPORT_SECONDS, MOST_BASELINES * probed.baseline)


def config_leaves_no_trace(subject: Subject) -> None:
    """Importing the Config prints, writes and connects nothing, and leaves no thread, filter or handler."""
    traces = _declared(subject).traces
    assert not traces, f"while it is imported, {_module(subject)} {'; '.join(traces)}"


def options_equal_config(subject: Subject) -> None:
    """The manifest's options are those of the Config: run `pgsynth plugins sync`."""
    written = {
        name: option.model_dump(exclude_unset=True, mode="json")
        for name, option in subject.entry.component.options.items()
    }
    coded = option_table(load_config(subject.entry))
    names = sorted(name for name in {*written, *coded} if written.get(name) != coded.get(name))
    said = "; ".join(f"{name}: manifest {written.get(name)}, Config {coded.get(name)}" for name in names)
    assert not names, f"run `pgsynth plugins sync`: {said}"


def config_refuses_the_unknown(subject: Subject) -> None:
    """The Config accepts its defaults and refuses an option it does not have."""
    config = load_config(subject.entry)
    assert issubclass(config, PartConfig), f"{config} is no PartConfig"
    config(**subject.entry.component.defaults())
    try:
        config.model_validate({"no_such_option": 1})
    except ValidationError:
        return
    raise AssertionError("it accepts the option no_such_option")


def options_go_round(subject: Subject) -> None:
    """Every default, choice and bound goes from the Config through a spec's file and back, and is the same."""
    if not subject.entry.component.options:
        raise Skip("it has no options")
    config = load_config(subject.entry)
    for name, value in values_of(subject.entry.component):
        options = {**subject.entry.component.defaults(), name: value}
        if any(refusal.applies(options) for refusal in subject.entry.component.refuses):
            continue
        try:
            given = config(**options)
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
            raise AssertionError(f"the manifest allows {name} = {value!r} and the Config does not: {reason}") from error
        if subject.entry.kind not in SLOTS:
            continue  # it stands in no spec
        choice = _choice(_through_a_file(subject, {name: value}), subject)
        own = {key: found for key, found in choice.options.items() if key in options}
        back = config(**own)
        assert back == given, f"{name} = {value!r} comes back as {getattr(back, name)!r}"


def values_of(component: Component) -> Iterator[tuple[str, Any]]:
    """Options, each with its default, its choices and its bounds."""
    for name, option in component.options.items():
        for value in _of(option):
            yield name, value


def _of(option: Option) -> tuple[Any, ...]:
    """Its default, its choices, its bounds."""
    if option.type == "bool":
        return True, False
    bounds: tuple[Any, ...] = tuple(bound for bound in (option.ge, option.le) if bound is not None)
    if "int" in option.type:
        bounds = tuple(int(bound) for bound in bounds)
    if option.type.startswith("list["):
        bounds = tuple([bound] for bound in bounds)
    return (option.default, *option.choices, *bounds)


def _through_a_file(subject: Subject, options: Mapping[str, Any]) -> Spec:
    """A spec with the part, written and read again."""
    slot, entry = SLOTS[subject.entry.kind], subject.entry
    first = resolve({slot: {entry.name: {"part": entry.qualified, **options}}}, [], subject.registry).spec
    with tempfile.TemporaryDirectory(prefix="pgsynth-check-") as folder:
        file = Path(folder) / "spec.yaml"
        file.write_text(first.to_yaml(), encoding="utf-8")
        return resolve(file, [], subject.registry).spec


def _choice(spec: Spec, subject: Subject) -> PartChoice:
    slot = SLOTS[subject.entry.kind]
    return next(choice for place, choice in spec.choices() if place == slot and choice.label == subject.entry.name)


def manifest_is_coherent(subject: Subject) -> None:
    """Target and Config are the package's own, weights name an option, the label set exists, summary and licence."""
    component = subject.entry.component
    origin = subject.entry.origin
    for key, target in (("target", component.target), ("config", component.config)):
        top = target.partition(":")[0].partition(".")[0]
        own = origin.first_party or _is_own(origin, top)  # a checkout of pgsynth has several roots
        assert own, f"{key} = {target!r} is not a module of {origin.package}: another package's code may change any day"
    for weights in component.weights:
        unknown = weights.option and weights.option not in component.options
        assert not unknown, f"weights {weights.id}: there is no option {weights.option!r}"
    known = not component.label_set or component.label_set in LABEL_SETS
    assert known, f"label_set = {component.label_set!r}; there are {', '.join(LABEL_SETS)}"
    assert component.summary.strip() and component.licence.strip(), "summary and licence say nothing"
    network = _networks(component)
    assert not network, f"{subject.entry.kind} brings the network {network!r}, which only {_BRINGS[network]} brings"


def _is_own(origin: Origin, top: str) -> bool:
    """Whether a top-level module is the package's: its manifest lies in it, or its metadata says so."""
    spec = find_spec(top)
    folders = [Path(folder) for folder in (spec.submodule_search_locations if spec else None) or ()]
    if any(folder in origin.manifest_path.parents for folder in folders):
        return True
    return origin.package in map(normalised, metadata.packages_distributions().get(top, ()))


_BRINGS: Final = {"denoiser": "a base", "pose": "a pose branch", "source": "an encoder"}


def _networks(component: Component) -> str:
    """A network that its kind does not bring."""
    own = {"base": "denoiser", "pose": "pose", "encoder": "source"}.get(component.kind)
    return next((name for name in component.networks if name in _BRINGS and name != own), "")


def implements_its_kind(subject: Subject) -> None:
    """The target is a documented class of the kind's interface, with its methods written."""
    target = loaded(subject)
    scores = subject.entry.component.scores
    of_kind = _METRICS[scores.of] if scores else BASE_CLASSES[subject.entry.kind]
    for expected in (of_kind, *(_ANNOTATORS[finding] for finding in subject.entry.component.finds)):
        assert issubclass(target, expected), f"{target} is no {expected.__name__}"
    assert not inspect.isabstract(target), f"{target} leaves methods abstract"
    assert target.__doc__ and target.__doc__.strip(), f"{target} has no docstring"


_METRICS: Final[Mapping[str, type]] = {"pair": PairMetric, "set": SetMetric}
_ANNOTATORS: Final[Mapping[str, type]] = {"pose": PoseAnnotator, "parsing": ParsingAnnotator}


def loaded(subject: Subject) -> type[Any]:
    """The class; `Skip` for a metric whose extra is not installed: nobody computes it then, which is no fault."""
    try:
        return load_part(subject.entry)
    except PartError as error:
        component = subject.entry.component
        if component.kind == "metric" and component.extra and isinstance(error.__cause__, ModuleNotFoundError):
            raise Skip(str(error)) from error
        raise
