"""What is said of slots, fields and parts: what may be written, in which form, why something does not fit."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Final

from pgsynth_core.spec import SINGLE_SLOTS
from pgsynth_tui.stores.draft_form import Field
from pgsynth_tui.stores.draft_parts import Candidate
from pgsynth_tui.stores.draft_values import said

__all__ = ["ABOUT", "allowed", "effect", "form_of", "label_of", "why"]

ABOUT: Final[Mapping[str, str]] = {
    "source": "What the method begins with: a preset, an ablation or a spec file.",
    "base": "Base: codec, denoiser and noise schedule. There is one.",
    "encoder": "Encoders: what is seen of the person in the source photo. Several may work together.",
    "pose": "Pose branches: how the target pose enters the denoiser. Several may work together.",
    "attn": "Attention: what is added to attention layers, a chain; the first is innermost (K and J move a link).",
    "data": "Data: pairs of photos to train on. There is one dataset.",
    "size": "Height x width of the pictures, and how photos are brought to it.",
    "train": "How it is trained: steps, batch, learning rate, losses, checkpoints.",
    "sample": "How pictures are sampled: scheduler, steps, guidance.",
}
"""Slot or section -> a sentence."""

_NOUNS: Final = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "path": "a path",
    "sites": "attention layers",
    "list[str]": "a list of words",
    "list[int]": "a list of whole numbers",
    "list[float]": "a list of numbers",
    "list[bool]": "a list of true and false",
}
_FORMS: Final = {
    "sites": "Write NETWORK:KIND or NETWORK:KIND:GLOB, e.g. pose:cross or denoiser:self:up_blocks.*; several: [a, b].",
    "path": "Relative paths begin where pgsynth was started.",
}


def allowed(field: Field) -> str:
    """What may be written, and what it is unless told: ``A whole number, at least 1; 4 unless told``."""
    if field.choices and not field.type.startswith("list"):
        what = f"one of {', '.join(said(choice) for choice in field.choices)}"
    else:
        what = _NOUNS.get(field.type, field.type)
        what += f" of {', '.join(map(str, field.choices))}" if field.choices else ""
    low, high = field.range
    ends = [f"at least {_short(low)}" if low is not None else "", f"at most {_short(high)}" if high is not None else ""]
    told = " and ".join(filter(None, ends))
    default = "" if field.default is None else f"; {said(field.default) or 'nothing'} unless told"
    text = f"{what}{f', {told}' if told else ''}{default}."
    return text[:1].upper() + text[1:]


def form_of(field: Field) -> str:
    """In which form it is typed; empty where that is plain."""
    if field.type.startswith("list["):
        example = f"[{field.choices[0]}]" if field.choices else said(field.value) or "[a, b]"
        return f"Commas between, brackets around: {example if len(example) > 2 else '[a, b]'}; none of them: []."
    return _FORMS.get(field.type, "")


def label_of(field: Field, group: str) -> str:
    """Its name below a part or section: ``drop.all`` of ``train.drop.all``."""
    return field.path.removeprefix(f"{group}.")


def _short(bound: float) -> str:
    return str(int(bound)) if float(bound).is_integer() else f"{bound:g}"


def why(one: Candidate) -> tuple[str, ...]:
    """Why a part does not fit, with what mends it; one sentence or more each, empty if it does."""
    return tuple(str(finding) for finding in one.fit.problems)


def effect(one: Candidate) -> str:
    """What Enter does with it, in a sentence."""
    if one.chosen:
        return f"It is chosen; Enter goes to the options of {one.chosen[0]}."
    others = " and ".join(part.label for part in one.reading.parts(one.slot))
    also = f" and sets {shlex.join(one.fit.remedy)}" if one.fit.remedy else ""
    if not others:
        return f"Enter takes it{also}."
    if one.slot in SINGLE_SLOTS:
        return f"Enter takes it in place of {others}{also}."
    return f"Enter adds it beside {others}{also}; r takes it in place of {others}."
