"""``pgsynth runs show``: one run, from its folder alone: what it is, how it stands, what it left, what comes next."""

from __future__ import annotations

import argparse
import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from pgsynth_core.cli.arguments import Parser, add_common, add_runs
from pgsynth_core.cli.console import one_line, progress, say, say_json
from pgsynth_core.cli.naming import named
from pgsynth_core.cli.report import broken_facts
from pgsynth_core.cli.verbs import Command, Session
from pgsynth_core.errors import UserError
from pgsynth_core.registry import Registry
from pgsynth_core.runs import (
    STATES,
    Checkpoint,
    RunFolder,
    RunStatus,
    best_checkpoint,
    find_run,
    last_events,
    latest_checkpoint,
    list_checkpoints,
    runs_root,
    status_of,
)
from pgsynth_core.runs.differences import check_frozen
from pgsynth_core.runs.durable import amount, read_json
from pgsynth_core.runs.entry import entry_of
from pgsynth_core.runs.queue import position
from pgsynth_core.runs.removing import size_of
from pgsynth_core.runs.workers import worker_runs
from pgsynth_core.spec import resolve

__all__ = ["COMMAND"]

_MOST: Final = 5
"""Samples, warnings and problems that are shown, the newest."""
_LOOKED_AT: Final = 10_000
"""Events that are looked through for them."""

_EPILOG = """\
A checkpoint is complete if every file of its list is there, and whole if every file has
the hash in that list too, which --verify finds out by reading them. Who loads one does so.

With --json: ok, run, path, replay_of (the folder of the run that it plays; empty for a
training), state, reason, step, steps, loss, when, position, spec (parts by slot, size,
steps, batch_size, precision; problem, if it cannot be read here), checkpoints (step, path,
bytes, validation, best, whole, verified, problem), samples, warnings, problems, made_with
(packages, libraries, weights; null before its weights were read), next (commands), broken."""


def _parser() -> Parser:
    parser = Parser("runs show", "Show a run: how it stands, its checkpoints, what may be done next.", epilog=_EPILOG)
    parser.add_argument("run", metavar="RUN", help="its id, the beginning of it, latest, or a path")
    parser.add_argument("--verify", action="store_true", help="read every checkpoint and compare its hashes")
    add_runs(parser)
    add_common(parser)
    return parser


def _run(arguments: argparse.Namespace, session: Session) -> int:
    folder = find_run(arguments.run, runs_root(arguments.runs))
    status = status_of(folder)
    facts: dict[str, Any] = {"ok": True, "run": folder.id, "path": str(folder.path)}
    facts["replay_of"] = folder.replayed
    facts |= {name: getattr(status, name) for name in ("state", "reason", "step", "steps", "loss", "when")}
    facts["position"] = position(folder) if status.state == "queued" else None
    facts["spec"] = _spec(folder, session.registry)
    with progress("Reading its checkpoints"):
        best = best_checkpoint(folder)
        facts["checkpoints"] = [
            _checkpoint(one, hashes=arguments.verify, best=one == best) for one in list_checkpoints(folder)
        ]
    facts |= _told(folder)
    facts["made_with"] = _made_with(folder)
    facts["next"] = list(_next(folder, status, facts["checkpoints"], named(folder, arguments.runs)))
    if arguments.json:
        say_json({**facts, "broken": broken_facts(session.registry.broken)})
    else:
        _draw(facts)
    return 0


# ------------------------------------------------------------------------------------------- facts
def _spec(folder: RunFolder, registry: Registry) -> dict[str, Any]:
    try:
        if checkpoint := latest_checkpoint(folder):
            check_frozen(folder, checkpoint)
    except UserError as error:
        return {"problem": str(error)}
    try:
        spec = resolve(folder.spec_file, (), registry).spec
    except UserError as error:  # a part is not installed here
        return {"problem": f"cannot be read here: {error.problems[0]}"}
    parts: dict[str, list[str]] = {}
    for slot, choice in spec.choices():
        parts.setdefault(slot, []).append(choice.label)
    train = spec.train
    facts: dict[str, Any] = {"parts": parts, "size": f"{spec.size[0]}x{spec.size[1]}", "steps": train.steps}
    return {**facts, "batch_size": train.batch_size, "precision": train.precision}


def _checkpoint(checkpoint: Checkpoint, *, hashes: bool, best: bool) -> dict[str, Any]:
    problem = ""
    try:
        checkpoint.verify(hashes=hashes)
    except UserError as error:
        problem = str(error.problems[0].message)
    facts = {"step": checkpoint.step, "path": str(checkpoint.path), "bytes": size_of(checkpoint.path)}
    facts |= {"validation": checkpoint.validation, "best": best}
    return {**facts, "whole": not problem, "verified": hashes, "problem": problem}


def _told(folder: RunFolder) -> dict[str, list[Any]]:
    """The last samples, warnings and problems, oldest first; not those of steps that were taken anew."""
    found: dict[str, list[Any]] = {"samples": [], "warnings": [], "problems": []}
    stands = math.inf
    try:
        for number, event in enumerate(last_events(folder.events_file)):
            if number >= _LOOKED_AT or all(len(some) >= _MOST for some in found.values()):
                break
            if event.get("step", 0) > stands:
                continue
            if event["kind"] == "run":
                stands = event["step"]
            elif event["kind"] == "sample" and len(found["samples"]) < _MOST:
                found["samples"].append(str(folder.path / str(event.get("path", ""))))
            elif event["kind"] in ("warning", "problem") and len(found[f"{event['kind']}s"]) < _MOST:
                what = {name: event[name] for name in ("step", "where", "message", "cure") if name in event}
                found[f"{event['kind']}s"].append(what)
    except UserError as error:
        found["problems"].append({"message": str(error)})
    return {name: some[::-1] for name, some in found.items()}


def _made_with(folder: RunFolder) -> dict[str, Any] | None:
    lock = read_json(folder.lock_file)
    if lock is None:
        return None
    return {name: lock.get(name, {}) for name in ("packages", "libraries", "weights")} | {"python": lock.get("python")}


def _next(folder: RunFolder, status: RunStatus, saved: Sequence[Mapping[str, Any]], name: str) -> Iterator[str]:
    """Commands that fit the state; of a run whose last checkpoint is damaged, for the last that is not."""
    if status.state == "queued":
        waits = entry_of(folder)
        if waits and waits.is_from_here and (status.reason or not worker_runs(waits.kind)):  # nothing takes it
            yield f"pgsynth runs resume {name} --detach"
    if status.live or status.state == "queued":
        yield f"pgsynth runs follow {name}"
        yield f"pgsynth runs stop {name}"
        return
    if folder.replayed:
        yield f"pgsynth replay {shlex.quote(folder.replayed)}"
        yield f"pgsynth runs rm {name}"
        return
    whole = [one for one in saved if one["whole"]]
    from_there = name if whole == saved else next((shlex.quote(one["path"]) for one in whole[::-1]), "")
    if status.state == "finished" and from_there:
        yield f"pgsynth evaluate {from_there}"
        yield f"pgsynth runs resume {from_there} train.steps={2 * max(1, status.step)}"
    elif from_there:
        yield f"pgsynth runs resume {from_there}"
        if saved:
            yield f"pgsynth evaluate {from_there}"
    else:
        yield f"pgsynth train {shlex.quote(str(folder.spec_file))}"
    yield f"pgsynth runs rm {name}"


# ------------------------------------------------------------------------------------------- for people
def _draw(facts: dict[str, Any]) -> None:
    of = f" of {facts['steps']}" if facts["steps"] else ""
    loss = "" if facts["loss"] is None else f", loss {facts['loss']:.4f}"
    place = f", number {facts['position']} in the queue" if facts["position"] else ""
    why = f": {facts['reason']}" if facts["reason"] else f": {STATES[facts['state']].meaning}"
    say(one_line(f"{facts['run']}: {facts['state']}{place}, step {facts['step']}{of}{loss}{why}"))
    for name, line in _rows(facts):
        say(f"  {name:<12}{one_line(line)}")


def _rows(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "folder", facts["path"]
    if facts["replay_of"]:
        yield "replay of", f"{facts['replay_of']}: nothing is trained, there are no weights"
    if facts["when"] is not None:
        yield "last event", f"{datetime.fromtimestamp(facts['when']):%Y-%m-%d %H:%M:%S}"
    yield from _spec_rows(facts["spec"])
    yield from _listed("checkpoints", map(_checkpoint_line, facts["checkpoints"]))
    yield from _listed("samples", facts["samples"])
    for name in ("warnings", "problems"):
        yield from _listed(name, map(_told_line, facts[name]))
    made = facts["made_with"]
    if made is None:
        yield "made with", "is written when its weights have been read"
    else:
        packages = [f"{name} {some.get('version', '')}" for name, some in made["packages"].items()]
        yield "made with", ", ".join([*packages, *(f"{name} {version}" for name, version in made["libraries"].items())])
        yield from _listed("weights", made["weights"])
    yield from _listed("next", facts["next"])


def _spec_rows(spec: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if "problem" in spec:
        yield "spec", spec["problem"]
        return
    yield "parts", ", ".join(f"{slot} {'+'.join(labels)}" for slot, labels in spec["parts"].items())
    yield "training", f"{spec['steps']} steps of {spec['batch_size']}, {spec['precision']}, {spec['size']}"


def _listed(name: str, lines: Any) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(lines):
        yield ("" if number else name), line


def _checkpoint_line(facts: dict[str, Any]) -> str:
    state = "whole" if facts["verified"] else "complete"
    if not facts["whole"]:
        state = f"DAMAGED: {facts['problem']}"
    loss = "" if facts["validation"] is None else f"  loss {facts['validation']:.4f} on unseen pairs"
    best = ", the best" if facts["best"] else ""
    return f"{Path(facts['path']).name}  {amount(facts['bytes'])}  {state}{loss}{best}"


def _told_line(facts: dict[str, Any]) -> str:
    step = f"step {facts['step']}: " if "step" in facts else ""
    return step + " ".join(str(facts[name]) for name in ("where", "message", "cure") if name in facts)


COMMAND = Command(_parser, _run, "words:one_run_words")
