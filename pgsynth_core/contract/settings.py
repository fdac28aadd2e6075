"""Rules about one part's own settings: option values that make no sense together, `tokens_to`, and the image size."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Final

from pgsynth_core.contract.changes import resized, with_option, with_options_of
from pgsynth_core.contract.cures import Clinic, Cure, Finding, one_of
from pgsynth_core.contract.plan import CROSS, Placed, named
from pgsynth_core.contract.view import View
from pgsynth_core.manifest import Condition, Refusal
from pgsynth_core.spec.values import TOKENS_TO

__all__ = ["refused_options", "token_targets", "unfit_size"]

_PORT: Final = re.compile(r"[^\s:]+:[^\s:]+")


def refused_options(view: View) -> Iterator[Finding]:
    """Combinations that a part's own manifest refuses."""
    for part in view.plan.parts:
        for number, refusal in enumerate(part.component.refuses):
            if refusal.applies(part.options):
                values = {name: part.options[name] for name in refusal.options}
                message = f"{named(part, values)}: {refusal.reason.replace('{label}', part.label)}"
                key = ("refused", part.key, str(number))
                yield Finding(key, message, partial(_cure_refused, part, refusal), (part,))


def _cure_refused(part: Placed, refusal: Refusal, clinic: Clinic) -> Cure:
    clauses = [refusal, Condition(options=refusal.unless)]
    working = tuple(clinic.working(with_options_of(clinic.plan, part, clauses)))
    return Cure(refusal.cure.replace("{label}", part.label) or f"Write {one_of(working)}.", working)


def token_targets(view: View) -> Iterator[Finding]:
    """`tokens_to` must be ``cross`` or a port of a package that the encoder does not give already."""
    for part in view.plan.of("encoder"):
        target = part.tokens_to
        if target == CROSS:
            continue
        if not _PORT.fullmatch(target):
            message = f"{part.label}: {TOKENS_TO} is {target!r}; it is {CROSS}, or a port as package:name."
        elif target in part.component.provided(part.options):
            message = f"{part.label} gives `{target}` already, and {TOKENS_TO} sends its tokens there too."
        else:
            continue
        yield Finding(("tokens_to", part.key), message, partial(_cure_target, part), (part,))


def _cure_target(part: Placed, clinic: Clinic) -> Cure:
    change = with_option(clinic.plan, part, TOKENS_TO, CROSS)
    wanted = (port for reader in clinic.plan.parts for port in reader.needs if ":" in port)
    others = (with_option(clinic.plan, part, TOKENS_TO, port) for port in wanted)
    working = tuple(clinic.working((change, *others)))
    return Cure(f"Set {one_of(working or (change,))}.", working)


def unfit_size(view: View) -> Iterator[Finding]:
    """Height and width must be whole numbers of latent cells."""
    base, (height, width) = view.plan.base, view.plan.size
    stride = base.component.pixels_per_cell(base.options)
    if height % stride or width % stride or min(height, width) < 1:
        message = (
            f"size {height}x{width} (height x width) does not fit the base {base.label}, "
            f"whose latent cells are {stride} pixels wide and high."
        )
        yield Finding(("size",), message, partial(_cure_size, stride), (base,))


def _cure_size(stride: int, clinic: Clinic) -> Cure:
    height, width = clinic.plan.size
    sizes = {(high, wide) for high in _near(height, stride) for wide in _near(width, stride)}
    nearest = sorted(sizes, key=lambda size: (abs(size[0] - height) + abs(size[1] - width), size))
    working = tuple(clinic.working(resized(clinic.plan, size) for size in nearest[:2]))
    return Cure(f"The nearest that fit: {one_of(working)}.", working)


def _near(side: int, stride: int) -> tuple[int, int]:
    """The multiples of the stride below and above, at least one stride."""
    return max(side // stride, 1) * stride, max(-(-side // stride), 1) * stride
