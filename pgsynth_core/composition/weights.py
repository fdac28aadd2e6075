"""The weights of a method that a checkpoint keeps, by part: what trains, and all of a part that was given no weights.

Keys are ``<label>.<parameter>``; of a processor ``<label>.<site>.<parameter>``; of pgsynth itself ``core.…``. Of a part
that was given pretrained weights, and of a copy of a denoiser that was, what is frozen is not kept: it comes again from
where it came. What else is frozen, e.g. a fixed random projection, comes from nowhere: a seed gives other values on
another device.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from pgsynth_core.composition.chain import chains_of
from pgsynth_core.composition.method import Method
from pgsynth_core.errors import Problem, SpecError, UserError, nearest


def kept_tensors(method: Method, base: str) -> dict[str, Tensor]:
    """Key -> parameter or buffer, not copied.

    Every trainable parameter, and the persistent buffers of parts that train; of parts that were given no weights the
    frozen parameters and all persistent buffers too, but for a copy of a denoiser that was given some.

    Args:
        method: The method.
        base: Label of its base.
    """
    return {key: value for key, value, _ in _kept(method, base)}


def trained_parameters(method: Method, base: str) -> dict[str, nn.Parameter]:
    """Key -> parameter, those that train; the order is the same in every process."""
    kept = kept_tensors(method, base)
    return {key: value for key, value in kept.items() if isinstance(value, nn.Parameter) and value.requires_grad}


def train_only(method: Method, base: str, patterns: Sequence[str]) -> None:
    """Freeze what trains and is matched by none of the patterns.

    Args:
        method: Built.
        base: Label of its base.
        patterns: Of keys, as in a file's name: ``*`` is anything, dots too. None: everything stays as it is.

    Raises:
        SpecError: With every pattern that matches nothing that trains.
    """
    if not patterns:
        return
    trained = trained_parameters(method, base)
    problems = [
        _matches_nothing(pattern, trained, _frozen(method, base))
        for pattern in patterns
        if not any(fnmatchcase(key, pattern) for key in trained)
    ]
    if problems:
        raise SpecError(problems)
    for key, parameter in trained.items():
        if not any(fnmatchcase(key, pattern) for pattern in patterns):
            parameter.requires_grad_(False)


def _frozen(method: Method, base: str) -> list[str]:
    return [
        f"{label}.{prefix}{name}"
        for label, prefix, module in owners(method, base)
        for name, value in module.named_parameters()
        if not value.requires_grad
    ]


def _matches_nothing(pattern: str, trained: Sequence[str] | Mapping[str, object], frozen: Sequence[str]) -> Problem:
    labels = list(dict.fromkeys(key.partition(".")[0] for key in trained))
    if any(fnmatchcase(key, pattern) for key in frozen):
        label = next(key for key in frozen if fnmatchcase(key, pattern)).partition(".")[0]
        message = f"train.only: {pattern!r} matches nothing that trains: what it matches of {label} is frozen."
        return Problem(message, cure=f"Options of {label} say what of it trains, e.g. train=all of a base.")
    close = nearest(pattern, [*labels, *trained])
    hint = f"Did you mean {f'{close}.*' if close in labels else close!r}? " if close else ""
    some = ", ".join(f"{label}.*" for label in labels)
    return Problem(f"train.only: {pattern!r} matches no parameter.", cure=f"{hint}What trains: {some}.")


def load_kept(method: Method, base: str, tensors: Mapping[str, Tensor], *, where: str, partial: bool = False) -> None:
    """Put a checkpoint's tensors in place.

    Args:
        method: Built from the checkpoint's spec.
        base: Label of its base.
        tensors: Key -> value.
        where: The file, for messages.
        partial: Keys may be missing: a moving average has no buffers. What was not always kept may be missing anyway.

    Raises:
        UserError: If keys are missing, unknown, or of another shape: it belongs to another method.
    """
    kept = [*_kept(method, base)]
    wanted, always = {key: value for key, value, _ in kept}, {key for key, _, ever in kept if ever}
    problems = [
        Problem(f"{key} is missing.", where=where, cure="The file is of another method or version; see lock.json.")
        for key in (set() if partial else always - tensors.keys())
    ]
    for key, value in tensors.items():
        if key not in wanted:
            near = nearest(key, wanted)
            problems.append(
                Problem(f"{key} belongs to no part.", where=where, cure=f"Nearest: {near}." if near else "")
            )
        elif wanted[key].shape != value.shape:
            shapes = f"{tuple(value.shape)} where the method has {tuple(wanted[key].shape)}"
            problems.append(Problem(f"{key} is {shapes}.", where=where))
    if problems:
        raise UserError(sorted(problems, key=str)[:20])
    with torch.no_grad():
        for key, value in tensors.items():
            wanted[key].copy_(value)


def _kept(method: Method, base: str) -> Iterator[tuple[str, Tensor, bool]]:
    """(key, parameter or buffer, whether every checkpoint has it); those of what is frozen were once left out."""
    for label, prefix, module in owners(method, base):
        whole = label not in method.pretrained
        parameters = dict(module.named_parameters())
        trains = any(value.requires_grad for value in parameters.values())
        for name, value in parameters.items():
            key = f"{label}.{prefix}{name}"
            unique = whole and key not in method.copied
            if (unique or value.requires_grad) and ".processor." not in f".{prefix}{name}":
                yield key, value, value.requires_grad
        for name, buffer in _buffers(module):
            key = f"{label}.{prefix}{name}"
            if trains or (whole and key not in method.copied):
                yield key, buffer, trains


def owners(method: Method, base: str) -> Iterator[tuple[str, str, nn.Module]]:
    """(label, prefix of the parameter, module) of every part; a processor comes once for each site."""
    yield base, "codec.", method.base.codec
    yield base, "denoiser.", method.base.denoiser
    for label, encoder in method.encoders.items():
        yield label, "", encoder
    for label, branch in method.poses.items():
        yield label, "", branch
    for network in method.networks():
        for chain in chains_of(network).values():
            for label, link in chain.items():
                yield label, f"{chain.site.name}.", link
    for label, ports in method.adapters.items():
        yield "core", f"adapters.{label}.", ports
    if method.null_token is not None:
        yield "core", "", nn.ParameterDict({"null_token": method.null_token})


def _buffers(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    persistent = module.state_dict(keep_vars=True)
    parameters = {name for name, _ in module.named_parameters()}
    for name, value in persistent.items():
        if name not in parameters and ".processor." not in f".{name}":
            yield name, value
