"""Where an evaluation of a run is kept, under the first name that none with other settings has; who works on it.

Beside the folder NAME, ``.NAME.lock`` is locked by the process that works on all of it, ``.NAME.2-of-4.lock`` by the
one that samples that share; it is gone when they are done.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any, Final

from pgsynth_core.errors import UserError
from pgsynth_core.evaluation.share import Share
from pgsynth_core.runs.durable import json_text, read_json, refusing, remove, replace_text, temporary
from pgsynth_core.runs.holding import hold
from pgsynth_core.runs.identity import is_alive, process_of, this_process

__all__ = ["SETTINGS", "alone_on", "begin", "place_for"]

SETTINGS: Final = "settings.json"
"""The file of everything that an evaluation's pictures follow from; a folder without it is no evaluation."""


def place_for(wanted: Path, settings: Mapping[str, Any]) -> tuple[Path, tuple[str, ...]]:
    """Where an evaluation of these settings is, or may be begun: the first name that nothing else has.

    Returns:
        The folder; and, if it is only to be begun and others differ in nothing but versions, a sentence that says so.
    """
    others: list[Path] = []
    for number in count(1):
        path = wanted if number == 1 else wanted.with_name(f"{wanted.name}.{number}")
        if _same(path, settings):
            return path, ()
        if _is_free(path):
            return path, _made_anew(path, settings, others)
        others.append(path)
    raise AssertionError("there are always more numbers")


def _same(folder: Path, settings: Mapping[str, Any]) -> bool:
    """Whether an evaluation was made with these settings; the order of guidance is one of them."""
    return json.dumps(read_json(folder / SETTINGS)) == json.dumps(settings)


def _is_free(folder: Path) -> bool:
    """Whether nothing was begun there: a folder that somebody made and left empty is nothing."""
    return not folder.exists() or folder.is_dir() and not any(folder.iterdir())


def _made_anew(folder: Path, settings: Mapping[str, Any], others: Iterable[Path]) -> tuple[str, ...]:
    """That there is such an evaluation by other versions, if there is."""
    now = settings["versions"]
    for other in others:
        made = read_json(other / SETTINGS) or {}
        then = made.pop("versions", None)
        if json.dumps(made) != json.dumps({key: value for key, value in settings.items() if key != "versions"}):
            continue
        if not isinstance(then, Mapping):
            return (f"{other.name} does not say by which versions it was made: made anew in {folder.name}.",)
        names = [name for name in {**then, **now} if then.get(name) != now.get(name)]
        changes = ", ".join(f"{name} {then.get(name, 'none')}, now {now.get(name, 'none')}" for name in names)
        return (f"{other.name} was made by other versions ({changes}): made anew in {folder.name}.",)
    return ()


def begin(folder: Path, settings: Mapping[str, Any]) -> None:
    """Make the folder with its settings in it, at once; let be what another process has just begun.

    Raises:
        UserError: If that has other settings.
        OSError: If the system refuses.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = temporary(folder)
    beside.mkdir()
    try:
        replace_text(beside / SETTINGS, json_text(settings))
        beside.rename(folder)  # which takes the place of an empty one, and of no other
    except OSError:
        if not (folder / SETTINGS).exists():
            raise
    finally:
        remove(beside)
    if not _same(folder, settings):
        raise UserError("another evaluation was begun here just now.", where=str(folder), cure="Run this again.")


@contextmanager
def alone_on(folder: Path, share: Share | None = None) -> Iterator[None]:
    """Work inside on an evaluation, or on one share of it, as nobody else does meanwhile.

    Args:
        folder: Of the evaluation; need not exist.
        share: Which is sampled; None: all of it is sampled and scored.

    Raises:
        UserError: If another process does, or the system refuses.
    """
    part = f".{share.number}-of-{share.of}" if share else ""
    file = folder.with_name(f".{folder.name}{part}.lock")
    with refusing("the evaluation cannot be begun", folder):
        held = _held(file, folder)
    with held:
        try:
            yield
        finally:
            with suppress(OSError):
                file.unlink()
                folder.parent.rmdir()  # where nothing was made


def _held(file: Path, folder: Path) -> ExitStack:
    while True:
        file.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # who was done before has just removed the folder
            held = hold(file, left_behind=lambda: _alive(file) is False)
            break
    facts = read_json(file) or {}
    if held is None:
        who = f"process {facts['pid']} on {facts.get('host')}" if process_of(facts) else "another process"
        cure = "Wait for it, and run this again: what it made is taken up."
        raise UserError(f"{who} works on this evaluation already.", where=str(folder), cure=cure)
    file.write_text(json_text(asdict(this_process())), encoding="utf-8")  # in place: this very file is locked
    return held


def _alive(file: Path) -> bool | None:
    process = process_of(read_json(file) or {})
    return is_alive(process) if process else None
