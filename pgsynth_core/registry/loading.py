"""Import what a manifest names, inside a guard. The only place where a string becomes a class.

Floor 1. A part's module is imported when it is built, never before; whatever it does while it is imported, the user
learns which package is to blame, why, and the command that helps.
"""

from __future__ import annotations

import importlib
import os
import shlex
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

from pydantic import ValidationError

from pgsynth_core.errors import PartError, nearest
from pgsynth_core.options import PartConfig
from pgsynth_core.registry.entries import Entry, Origin, removal
from pgsynth_core.registry.locate import raise_interrupts, reason_of

__all__ = ["PATIENCE_VARIABLE", "configure", "load_config", "load_part", "load_target", "patience"]

PATIENCE_VARIABLE: Final = "PGSYNTH_IMPORT_SECONDS"
_PATIENCE: Final = 120.0
_LONGEST: Final = 86_400.0
"""Seconds, a day: the system's clock refuses numbers that are far larger."""


def load_target(origin: Origin, target: str, *, part: str = "", extra: str = "") -> object:
    """Import ``module:attribute``.

    Args:
        origin: The package whose manifest names the target.
        target: What to import.
        part: What it is for, in messages, e.g. ``encoder qfft``; the target if empty.
        extra: The optional extra of the package that the part needs; named as the cure of a missing import.

    Raises:
        PartError: If importing raises, exits or does not end, or there is no such attribute. Caused by what was raised.
    """
    module_name, _, attribute = target.partition(":")
    what = f"{part or target} of {origin}"
    try:
        with _at_most(0.0 if origin.first_party else patience()):
            module = importlib.import_module(module_name)
            found: object = getattr(module, attribute, _MISSING)
    except _TooLongError as error:
        cure = f"{_cure(origin, '', '', None)} If it only is slow, wait longer: export {PATIENCE_VARIABLE}=600."
        raise PartError(f"{what} cannot be imported: {error}", where=target, cure=cure) from error
    except BaseException as error:
        raise_interrupts(error)
        message = f"{what} cannot be imported: {reason_of(error, target)}"
        raise PartError(message, where=target, cure=_cure(origin, module_name, extra, error)) from error
    if found is _MISSING:
        close = nearest(attribute, (name for name in vars(module) if not name.startswith("_")))
        hint = f" Did you mean {close!r}?" if close else ""
        message = f"{what} cannot be loaded: the module {module_name} has no {attribute!r}.{hint}"
        raise PartError(message, where=target, cure=_cure(origin, module_name, "", None))
    return found


def load_part(entry: Entry) -> type[Any]:
    """The class of a part.

    Raises:
        PartError: If it cannot be imported or is no class.
    """
    loaded = load_target(entry.origin, entry.component.target, part=_described(entry), extra=entry.component.extra)
    if not isinstance(loaded, type):
        raise _wrong_kind(entry, entry.component.target, loaded, "a class")
    return loaded


def load_config(entry: Entry) -> type[PartConfig]:
    """The options of a part as a pydantic class.

    Raises:
        PartError: If it cannot be imported or is no `PartConfig`.
    """
    loaded = load_target(entry.origin, entry.component.config, part=_described(entry), extra=entry.component.extra)
    if not (isinstance(loaded, type) and issubclass(loaded, PartConfig)):
        raise _wrong_kind(entry, entry.component.config, loaded, "a subclass of pgsynth_core.options.PartConfig")
    return loaded


def configure(entry: Entry, options: Mapping[str, Any]) -> PartConfig:
    """The Config of a part with option values that its manifest allows; what the part does not have is left out.

    Raises:
        PartError: As `load_config`, or if the Config refuses them: then it is not in step with the manifest.
    """
    own = {name: value for name, value in options.items() if name in entry.component.options}
    try:
        return load_config(entry)(**own)
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}" for wrong in error.errors())
        file = entry.origin.manifest_path
        message = f"{_described(entry)} of {entry.origin}: its Config refuses what its manifest allows: {said}."
        cure = f"Its author brings them in step: pgsynth plugins sync {shlex.quote(str(file))}."
        raise PartError(message, where=entry.component.config, cure=cure) from error


_MISSING = object()


class _TooLongError(BaseException):
    """An import that does not end. No `Exception`: what hangs in a loop that catches those must be stopped too."""


def patience() -> float:
    """Seconds that one import may take: ``PGSYNTH_IMPORT_SECONDS``, at most a day; else 120; no limit if it is 0."""
    try:
        given = float(os.environ.get(PATIENCE_VARIABLE, _PATIENCE))
    except ValueError:
        return _PATIENCE
    return min(given, _LONGEST) if given >= 0 else _PATIENCE  # what is no number is not, either


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Interrupt what takes longer, where the system can: Python code, in the main thread."""
    if not seconds or threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise _TooLongError(f"it is not done after {seconds:g} seconds.")

    before = signal.signal(signal.SIGALRM, interrupt)
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)  # again, should the first one be swallowed
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left, interval)
        signal.signal(signal.SIGALRM, before)


def _described(entry: Entry) -> str:
    return f"{entry.kind} {entry.name}"


def _wrong_kind(entry: Entry, target: str, loaded: object, expected: str) -> PartError:
    message = f"{_described(entry)} of {entry.origin} cannot be loaded: {target} is {loaded!r:.80}, not {expected}."
    return PartError(message, where=target, cure=_cure(entry.origin, "", "", None))


def _cure(origin: Origin, module_name: str, extra: str, error: BaseException | None) -> str:
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if missing and f"{module_name}.".startswith(f"{missing}."):
        return f"Its manifest names that module: {origin.manifest_path}. {removal(origin.package)}"
    if extra and missing and missing.partition(".")[0] != module_name.partition(".")[0]:
        return f'Install what it needs: pip install "{origin.package}[{extra}]".'
    if origin.first_party:
        return "See what is installed and what is not: pgsynth doctor."
    return removal(origin.package)
