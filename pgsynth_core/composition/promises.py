"""Whether an encoder gives what its manifest promises: ports, axes, dtypes, roles; found on the meta device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from pgsynth_core.axes import Axis, axis_value
from pgsynth_core.composition.ports import port_of, port_tensors
from pgsynth_core.errors import Problem
from pgsynth_core.interfaces import Conditioning, Tokens
from pgsynth_core.manifest import Provides
from pgsynth_core.spec import PartChoice


def broken_promises(
    choice: PartChoice, provided: Mapping[str, Provides], given: Conditioning, bound: Mapping[str, int]
) -> Iterator[Problem]:
    """Every difference between what a part provides by its manifest and what it gave.

    Args:
        choice: The part as chosen.
        provided: Its ports with the options applied.
        given: What its forward returned.
        bound: Symbols with one value in the whole composition, the batch among them.
    """
    tensors = port_tensors(given)
    names = {port_of(name) for name in tensors}
    label = choice.label
    for port in sorted(set(provided) - names):
        if provided[port].scope == "composition":
            yield Problem(f"{label} promises `{port}` and does not give it.", cure="Give it, or drop it from provides.")
    for port in sorted(names - set(provided)):
        yield Problem(f"{label} gives `{port}`, which its manifest does not promise.", cure="Add it to provides.")
    for name, tensor in tensors.items():
        promise = provided.get(port_of(name))
        if promise is not None and not name.endswith(".exists"):
            yield from _tensor_problems(choice, name, promise, tensor, bound)
    if given.tokens is not None and given.tokens.values.ndim == 3 and "tokens" in provided:
        yield from _role_problems(label, provided["tokens"].roles, given.tokens)


def _tensor_problems(
    choice: PartChoice, name: str, promise: Provides, tensor: Tensor, bound: Mapping[str, int]
) -> Iterator[Problem]:
    shape = tuple(tensor.shape)
    wanted = [axis_value(axis, bound, choice.options) for axis in promise.axes]
    fits = len(wanted) == len(shape) and all(
        number is None or number == size for number, size in zip(wanted, shape, strict=True)
    )
    if not fits:
        told = ", ".join(_told(axis, number) for axis, number in zip(promise.axes, wanted, strict=True))
        found = ", ".join(str(size) for size in shape)
        yield Problem(
            f"{choice.label} promises `{name}` as [{told}] and gives [{found}].", cure="Mend its manifest or its model."
        )
    if _dtype(tensor) != promise.dtype:
        yield Problem(
            f"{choice.label} promises `{name}` as {promise.dtype} and gives {tensor.dtype}.", cure="Mend its dtype."
        )


def _dtype(tensor: Tensor) -> str:
    """The manifest's word for a tensor's type."""
    if tensor.is_floating_point():
        return "float"
    return "bool" if tensor.dtype == torch.bool else "label"


def _told(axis: Axis, number: int | None) -> str:
    return str(axis) if number is None or str(number) == str(axis) else f"{axis}={number}"


def _role_problems(label: str, promised: Sequence[str], tokens: Tokens) -> Iterator[Problem]:
    roles, count = len(tokens.is_global), tokens.values.shape[1]
    if roles != count:
        yield Problem(f"{label} gives {count} tokens and {roles} roles.", cure="Give one role per token.")
    given = {"global" if is_global else "local" for is_global in tokens.is_global}
    if promised and given != set(promised):
        told, found = " and ".join(promised), " and ".join(sorted(given, reverse=True)) or "none"
        yield Problem(f"{label} promises tokens of role {told} and gives {found}.", cure="Mend `roles` or `is_global`.")
