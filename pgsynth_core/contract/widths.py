"""Widths and adapters: where nothing but the last axis differs, a linear layer behind the giver is proposed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from pgsynth_core.axes import port_info
from pgsynth_core.contract.cures import Clinic, Cure, Finding
from pgsynth_core.contract.plan import ordered
from pgsynth_core.contract.verdict import Adapter
from pgsynth_core.contract.view import End, Flow, View

__all__ = ["adaptable", "adapters", "no_width", "stale_adapters", "width_clash"]


def adaptable(giver: End) -> bool:
    """Whether a linear layer can change the last axis: a float port that a part gives once, to everybody."""
    port = giver.port
    from_part = giver.part is not None and giver.part.slot != "data"
    return (
        from_part and port.dtype == "float" and port.per is None and port.scope == "composition" and len(port.axes) > 1
    )


def width_clash(view: View, flow: Flow, reader: End) -> str:
    """What is wrong if a reader takes another width than the first reader: no adapter behind the giver serves both."""
    if not adaptable(flow.giver):
        return ""
    first = next((end for end in flow.readers if end.width is not None), reader)
    if reader.width in (None, first.width):
        return ""
    return (
        f"{reader.name} reads `{flow.port}` of {flow.giver.name} with width {reader.width}, "
        f"{_who(view, first)} with {first.width}."
    )


def no_width(view: View) -> Iterator[Finding]:
    """Ports that core knows, given with a last axis that is no number: no layer that reads them could be built."""
    for flow in view.flows:
        giver, widths = flow.giver, [reader for reader in flow.readers if reader.width is not None]
        if giver.part and giver.width is None and widths and adaptable(giver) and port_info(flow.port):
            last = giver.port.axes[-1]
            message = (
                f"{giver.name} gives `{flow.port}` as {giver.form}, and {last} stands for no number; "
                f"{widths[0].name} reads {widths[0].form}."
            )
            cure = Cure(f"Its author writes a number, D or an option for {last}. Until then: leave {giver.name} out.")
            yield Finding(("width", giver.part.key, flow.port), message, partial(_as_it_is, cure), (giver.part,))


def _who(view: View, reader: End) -> str:
    """Whose number it is: the base's, where the reader writes a symbol that the base binds."""
    return f"the base {view.plan.base.label}" if _symbol(view, reader) else reader.name


def _symbol(view: View, reader: End) -> str:
    last = str(reader.port.axes[-1])
    return last if last in view.bound else ""


def adapters(view: View) -> Iterator[Adapter]:
    """The adapters that the parts need, recorded in the spec already or not."""
    for flow in view.flows:
        given = flow.giver.width
        if flow.giver.part is None or given is None or not adaptable(flow.giver):
            continue
        alike = [end for end in flow.readers if end.port.dtype == "float" and len(end.axes) == len(flow.giver.axes)]
        widths = {end.width for end in alike if end.width is not None}
        if len(widths) == 1 and given not in widths:
            reader = next(end for end in alike if end.width is not None)
            (wanted,) = widths
            port = flow.giver.part.declared(flow.port)  # its own name, wherever `tokens_to` sends it
            yield Adapter(flow.giver.name, port, _symbol(view, reader), given, wanted, _who(view, reader))


def stale_adapters(view: View, needed: Sequence[Adapter]) -> Iterator[Finding]:
    """Adapters that the spec records for parts which are here and need none."""
    wanted = {(adapter.label, adapter.port) for adapter in needed}
    for part in view.plan.parts:
        for port, (given, width) in ordered(view.plan.adapters.get(part.label, {})).items():
            if (part.label, port) not in wanted:
                linear = f"Linear({given}, {width})"
                message = f"the spec has an adapter {linear} for `{port}` of {part.label}, which needs none."
                cure = Cure(f"Take adapters.{part.label}.{port} out of the spec.")
                yield Finding(("stale", part.key, port), message, partial(_as_it_is, cure), (part,))


def _as_it_is(cure: Cure, clinic: Clinic) -> Cure:
    return cure
