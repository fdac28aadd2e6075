"""What stands in ``events.jsonl``: the kinds of event and their fields. Version 1; fields and kinds may only be added.

One JSON object a line, in the order in which things happened, only ever appended to; `form` says it as a JSON Schema.
Every event has

    t       float, seconds since 1970 (UTC)
    kind    one of run, step, checkpoint, sample, warning, problem, exit

and the fields of its kind below; a field that says nothing (None, empty text) is left out. A reader passes over kinds
and fields it does not know. Numbers that are not finite stand as the strings ``"NaN"``, ``"Infinity"``,
``"-Infinity"``, which `events.read_events` turns back: JSON has none.

Each time a process begins to train the run, it writes a `run` event. If that says ``step: S``, the run went on from
the checkpoint of step S, and whatever earlier events say of steps after S is superseded; if it says ``after: X``, so is
what sessions say that are neither X nor among those which X went on from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, Final

from pgsynth_core.errors import suggestion

__all__ = [
    "EVENTS",
    "SCHEMA_VERSION",
    "CheckpointEvent",
    "ExitEvent",
    "ProblemEvent",
    "RunEvent",
    "SampleEvent",
    "StepEvent",
    "WarningEvent",
    "checked",
    "is_sound",
    "is_text",
]

SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, kw_only=True)
class RunEvent:
    """A process begins to train the run: the header of what follows.

    Attributes:
        step: Steps already taken; 0 for a new run, else that of the checkpoint it goes on from.
        steps: Steps it is to have in the end.
        device: What the first process computes on, e.g. ``cuda:0`` or ``cpu``.
        gpu: What that is, as its driver calls it, e.g. ``NVIDIA H100 80GB HBM3``; empty on a CPU.
        processes: How many train together.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        parameters: How many numbers train.
        pairs: Pairs of the dataset.
        data: What it is known again by: a digest of the order that it gives its pairs, and of their names.
        session: Name of the session that begins.
        after: Of the one that wrote the checkpoint it goes on from.
        schema: Version of this form.
    """

    step: int
    steps: int
    device: str = ""
    gpu: str = ""
    processes: int | None = None
    precision: str = ""
    parameters: int | None = None
    pairs: int | None = None
    data: str = ""
    session: str = ""
    after: str = ""
    schema: int = SCHEMA_VERSION


@dataclass(frozen=True, kw_only=True)
class StepEvent:
    """An optimiser step was taken.

    Attributes:
        step: Its number; the first is 1.
        loss: What was minimised: the weighted sum of the terms; mean over accumulation and processes.
        steps: Steps the run is to have.
        mse: Mean squared error of the noise, source to target (QEN, Eq. 6).
        reconstruction: The same, source to source (QEN, Eq. 7).
        learning_rate: Of this step.
        grad_norm: Of all gradients together, before clipping.
        skipped: True if a gradient was not finite and the weights stayed as they were.
        seconds_per_step: Smoothed, seconds.
        eta_seconds: Expected until the last step, seconds.
        memory_bytes: The most that the first process held on its GPU so far, bytes; nothing on a CPU.
    """

    step: int
    loss: float
    steps: int | None = None
    mse: float | None = None
    reconstruction: float | None = None
    learning_rate: float | None = None
    grad_norm: float | None = None
    skipped: bool | None = None
    seconds_per_step: float | None = None
    eta_seconds: float | None = None
    memory_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class CheckpointEvent:
    """A checkpoint stands, whole.

    Attributes:
        step: Steps taken.
        path: Its folder, relative to the run's.
        seconds: Until it stood, seconds; training goes on meanwhile.
        bytes: Its size.
        validation: Loss on pairs of the test split with its weights, or their average, always with the same noise.
        validation_seconds: What that took, seconds, for which training waited.
    """

    step: int
    path: str
    seconds: float | None = None
    bytes: int | None = None
    validation: float | None = None
    validation_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class SampleEvent:
    """Pictures are on disk.

    Attributes:
        step: Steps taken by the weights that made them.
        path: Their folder, or the sheet, relative to the run's folder.
        count: How many.
        seconds: What they took, seconds.
    """

    step: int
    path: str
    count: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class WarningEvent:
    """Something to know that stops nothing.

    Attributes:
        message: What.
        where: The place in the user's input, or the file.
        cure: What to do.
        step: The step at which it came up.
    """

    message: str
    where: str = ""
    cure: str = ""
    step: int | None = None


@dataclass(frozen=True, kw_only=True)
class ProblemEvent(WarningEvent):
    """Something that ends the run, or spoils it; fields as in a warning."""


@dataclass(frozen=True, kw_only=True)
class ExitEvent:
    """The process stops training the run; `exit.json` says the same. Missing after a kill.

    Attributes:
        state: ``finished``, ``stopped`` (asked to) or ``failed``.
        code: Exit code: 0, 1 failed, 2 the user can mend it, 130 interrupted.
        step: Steps taken.
        reason: Why, in a sentence.
    """

    state: str
    code: int
    step: int | None = None
    reason: str = ""


EVENTS: Final[Mapping[str, type]] = {
    "run": RunEvent,
    "step": StepEvent,
    "checkpoint": CheckpointEvent,
    "sample": SampleEvent,
    "warning": WarningEvent,
    "problem": ProblemEvent,
    "exit": ExitEvent,
}
"""Kind to fields."""


_TEXT: Final = (str,)
_PLAIN: Final[Mapping[str, tuple[type, ...]]] = {"int": (int,), "float": (float, int), "str": _TEXT, "bool": (bool,)}
_FORMS: Final = {
    kind: {field.name: (_PLAIN[str(field.type).partition(" ")[0]], field.default is MISSING) for field in fields(form)}
    for kind, form in EVENTS.items()
}
"""Kind -> field -> what its value may be, and whether it is always said."""
_FAR: Final = 1e11
"""A time that no run sees, seconds since 1970."""


def is_text(kind: str, name: str) -> bool:
    """Whether a field of a kind is text, whatever stands in it."""
    return _FORMS.get(kind, {}).get(name, ((), False))[0] == _TEXT


def is_sound(event: Mapping[str, Any]) -> bool:
    """Whether an event that was read is of the form of its kind: a flipped bit may leave JSON that is none of ours.

    Kinds and fields of a later version are not judged.
    """
    when = event.get("t", 0)
    if not isinstance(when, int | float) or not 0 <= when < _FAR:
        return False
    for name, (types, required) in _FORMS.get(event["kind"], {}).items():
        if name not in event:
            if required:
                return False
        elif type(event[name]) not in types:
            return False
    return True


def checked(kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an event in the order of its kind, without those that say nothing.

    Raises:
        ValueError: If there is no such kind, or a field is missing or unknown: a reader would look for it in vain.
        TypeError: If a value is of another type than its field.
    """
    if kind not in EVENTS:
        raise ValueError(f"there is no event {kind!r}. {suggestion(kind, tuple(EVENTS), what='kinds')}")
    known = _FORMS[kind]
    for name in data:
        if name not in known:
            raise ValueError(
                f"an event {kind!r} has no field {name!r}. {suggestion(name, tuple(known), what='fields')}"
            )
    if missing := [name for name, (_, required) in known.items() if required and name not in data]:
        raise ValueError(f"an event {kind!r} needs {', '.join(missing)}; given: {', '.join(data) or 'nothing'}.")
    event = asdict(EVENTS[kind](**data))
    said = {name: value for name, value in event.items() if known[name][1] or (value is not None and value != "")}
    for name, value in said.items():
        if type(value) not in known[name][0]:
            raise TypeError(f"{name} of an event {kind!r} is a {type(value).__name__}: {value!r:.80}")
    return said
