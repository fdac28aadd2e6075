"""One part's contract in words, and what it fits with. Floor 2, no torch, imports nobody's code.

Plain data for whoever prints it: frozen dataclasses of strings and tuples, ready for `dataclasses.asdict`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from pgsynth_core.axes import AXES, port_info
from pgsynth_core.manifest import Component, Needs, Option, Port, Provides, Refusal, When
from pgsynth_core.packages.fitting import Fit, fits_of
from pgsynth_core.packages.listing import Checked, Counts, identity_of, unchecked
from pgsynth_core.registry import Entry, PresetEntry, Registry
from pgsynth_core.shipped import Paper
from pgsynth_core.spec.values import options_of

__all__ = ["OptionRow", "Shown", "show"]


@dataclass(frozen=True)
class OptionRow:
    """One option in words.

    Attributes:
        name: As written in a spec.
        type: The type, a choice with what may be chosen.
        default: Value if left out.
        range: ``at least 1``, ``0 to 1``; empty if unlimited.
        help: What it does.
    """

    name: str
    type: str
    default: Any
    range: str
    help: str


@dataclass(frozen=True)
class Shown:
    """A part or preset in full.

    Attributes:
        kind: Kind of part, or ``preset``.
        name: Plain name.
        qualified: ``package:name``.
        package: The distribution.
        version: Its version.
        stability: ``stable``, ``beta`` or ``deprecated``; empty for a preset.
        summary: One line.
        licence: SPDX identifier.
        paper: Title, section, equations, arXiv number.
        bibtex: The citation.
        needs: Ports it reads, one sentence each.
        provides: Ports it writes, one sentence each.
        brings: Of a base, pose branch or encoder: its networks, sizes and widths, one sentence each.
        sites: Of an attention processor: where it may act, and where it acts unless told.
        scores: Of a metric: what its values are, which is better, how it works, and where it is used.
        options: Its options, in order.
        refuses: Option values that make no sense together, with the cure.
        weights: Pretrained weights it may use, with licence and size.
        install: The command for what it needs beyond pgsynth itself; empty if nothing.
        axes: What the axis symbols used above mean.
        file: The manifest, or the preset's YAML file.
        text: Of a preset: what its file says.
        checked: As in `Row`.
        fits: How it is composed, then every other part beside it; see `fitting.fits_of`.
    """

    kind: str
    name: str
    qualified: str
    package: str
    version: str
    summary: str
    file: str
    stability: str = ""
    licence: str = ""
    paper: str = ""
    bibtex: str = ""
    needs: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    brings: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    scores: tuple[str, ...] = ()
    options: tuple[OptionRow, ...] = ()
    refuses: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    install: str = ""
    axes: tuple[str, ...] = ()
    text: str = ""
    checked: Counts | None = None
    fits: tuple[Fit, ...] = ()


def show(
    registry: Registry,
    name: str,
    *,
    kind: str = "",
    where: str = "",
    checked: Checked = unchecked,
) -> tuple[Shown, ...]:
    """Every part and preset of that name, with its contract in words.

    Args:
        registry: What is installed.
        name: Plain or qualified; a plain name may be in several kinds or packages.
        kind: Only this kind of part, or ``preset``.
        where: The place in the user's input, for messages.
        checked: What the last conformance run of a part or preset counted.

    Raises:
        SpecError: If there is none of that name.
    """
    found = registry.find_all(name, kind=kind, where=where)
    return tuple(
        replace(
            _shown_part(item),
            checked=checked(item),
            fits=fits_of(registry, item),
            scores=tuple(_scored(item, registry)),
        )
        if isinstance(item, Entry)
        else replace(_shown_preset(item), checked=checked(item))
        for item in found
    )


# ------------------------------------------------------------------------------------------- in words
def _shown_preset(found: PresetEntry) -> Shown:
    preset = found.preset
    return Shown(
        **identity_of(found),
        summary=preset.summary,
        file=str(found.path),
        paper=_cited(preset.paper),
        bibtex=preset.paper.bibtex if preset.paper else "",
        text=_text_of(found.path),
    )


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""  # composing says what is wrong with it


def _shown_part(entry: Entry) -> Shown:
    part = entry.component
    return Shown(
        **identity_of(entry),
        summary=part.summary,
        file=str(entry.origin.manifest_path),
        stability=part.status,
        licence=part.licence,
        paper=_cited(part.paper),
        bibtex=part.paper.bibtex if part.paper else "",
        needs=tuple(_port(name, port) for name, port in part.needs.items()),
        provides=tuple(_port(name, port) for name, port in part.provides.items()),
        brings=tuple(_brought(part)),
        sites=tuple(_sites(part)),
        options=tuple(_option(name, option) for name, option in options_of(part).items()),
        refuses=tuple(map(_refusal, part.refuses)),
        weights=tuple(
            f"{weights.id} ({weights.licence}, {weights.megabytes} MB)"
            + (f", with the option {weights.option}" if weights.option else "")
            for weights in part.weights
        ),
        install=f'pip install "{entry.origin.package}[{part.extra}]"' if part.extra else "",
        axes=tuple(f"{symbol}: {AXES[symbol]}" for symbol in AXES if symbol in _symbols(part)),
    )


def _cited(paper: Paper | None) -> str:
    if paper is None:
        return ""
    equations = f"{'equations' if len(paper.equations) > 1 else 'equation'} {', '.join(paper.equations)}"
    places = (
        f"section {paper.section}" if paper.section else "",
        equations if paper.equations else "",
        f"arXiv:{paper.arxiv}" if paper.arxiv else "",
    )
    return ", ".join([paper.title, *(place for place in places if place)])


def _port(name: str, port: Port) -> str:
    """E.g. ``tokens [B, N, D], roles local, global; with queries=local: roles local. Appearance tokens...``"""
    facts = [f"{name} [{', '.join(map(str, port.axes))}]"]
    given = port.model_dump(exclude={"axes", "when"}, exclude_defaults=True)
    facts += [_fact(key, value) for key, value in given.items()]
    if isinstance(port, Provides):
        facts += [f"dropped: {port.dropped}"] if "dropped" not in given else []
        facts += ["must be read"] if port.reader == "required" else []
    sentence = "; ".join([", ".join(facts), *(_when(clause) for clause in port.when)])
    info = port_info(name)
    return f"{sentence} ({info.meaning})" if info else sentence


_FLAGS: Final[Mapping[tuple[str, Any], str]] = {
    ("needed", True): "needed",
    ("needed", False): "not needed",
    ("provided", True): "provided",
    ("provided", False): "not provided",
    ("optional", True): "optional",
    ("per", "sites"): "one per site it acts at",
    ("scope", "chain"): "inside the chain of one site",
    ("scope", "composition"): "in the whole composition",
    ("reader", "required"): "must be read",
    ("reader", "optional"): "need not be read",
}


def _fact(key: str, value: Any) -> str:
    if not isinstance(value, tuple | list) and (words := _FLAGS.get((key, value))):
        return words
    listed = ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
    return {"axes": f"[{listed}]", "dtype": listed, "dropped": f"dropped: {listed}"}.get(key, f"{key} {listed}")


def _when(clause: When) -> str:
    changes = clause.model_dump(exclude={"options"}, exclude_none=True)
    return f"with {_clause(clause.options)}: {', '.join(_fact(key, value) for key, value in changes.items())}"


def _clause(options: Mapping[str, tuple[Any, ...]]) -> str:
    return " and ".join(f"{name}={' or '.join(map(_as_in_a_spec, values))}" for name, values in options.items())


def _as_in_a_spec(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _refusal(rule: Refusal) -> str:
    exception = f" unless {_clause(rule.unless)}" if rule.unless else ""
    return f"{_clause(rule.options)}{exception}: {rule.reason} {rule.cure}"


def _option(name: str, option: Option) -> OptionRow:
    chosen = f"one of {', '.join(map(str, option.choices))}" if option.type == "choice" else option.type
    said = f"{option.help} Only with {_clause(option.when)}." if option.when else option.help
    return OptionRow(name, chosen, option.default, _range(option.ge, option.le), said)


def _range(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f"{low:g} to {high:g}"
    if low is not None:
        return f"at least {low:g}"
    return f"at most {high:g}" if high is not None else ""


def _brought(part: Component) -> Iterator[str]:
    for network, kinds in part.networks.items():
        yield f"network {network} with sites of kind {' and '.join(kinds) if kinds else 'none'}"
    if part.size:
        yield f"size {part.size} (height x width) unless told"
    for symbol, bind in {**({"pixels per latent cell": part.stride} if part.stride else {}), **part.binds}.items():
        if isinstance(bind, int):
            yield f"{symbol} = {bind}"
        else:
            values = ", ".join(f"{option}: {value}" for option, value in bind.values.items())
            yield f"{symbol} = by the option {bind.option}{f' ({values})' if values else ''}"
    if part.label_set:
        yield f"label set {part.label_set}"


def _sites(part: Component) -> Iterator[str]:
    if part.sites:
        yield f"may act at {', '.join(part.sites.allowed)}"
        yield f"acts at {', '.join(part.sites.default)} unless told"


def _scored(entry: Entry, registry: Registry) -> Iterator[str]:
    """What a metric gives, and the protocols that use it, with the options they set."""
    if scores := entry.component.scores:
        unit = f", in {scores.unit}" if scores.unit else ""
        yield f"a value for each pair{unit}" if scores.of == "pair" else f"one value for all pictures{unit}"
        yield f"{scores.better} is better"
        yield "works with torch, on a GPU if there is one" if scores.device else "works with numpy, in several threads"
    for protocol in registry.protocols:
        for label, use in protocol.table.metrics.items():
            if entry.kind == "metric" and use.part in (entry.name, entry.qualified):
                given = ", ".join(f"{name}={_as_in_a_spec(value)}" for name, value in use.options.items())
                yield f"{label} of the protocol {protocol.name}{f': {given}' if given else ''}"


def _symbols(part: Component) -> set[str]:
    ports: tuple[Needs | Provides, ...] = (*part.needs.values(), *part.provides.values())
    axes = [axis for port in ports for axis in port.axes]
    axes += [axis for port in ports for clause in port.when for axis in clause.axes or ()]
    return {term.strip() for axis in axes for term in str(axis).split("+")} | set(part.binds)
