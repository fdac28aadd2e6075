"""``pgsynth doctor``: what is installed, what it can compute on, and what is broken, each with its cure."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from pgsynth_core.cli.arguments import Parser, add_common
from pgsynth_core.cli.console import one_line, painted, progress, say, say_json
from pgsynth_core.cli.report import broken_facts
from pgsynth_core.cli.verbs import Command, Session
from pgsynth_core.packages.checks import Check
from pgsynth_core.packages.devices import device_checks
from pgsynth_core.packages.health import doctor
from pgsynth_core.packages.imports import import_checks
from pgsynth_core.registry import OWN_NAME, patience

__all__ = ["COMMAND"]

UNWELL = 2

_STYLE: Final = {"ok": "good", "warn": "warning", "fail": "error"}

_EPILOG = """\
It reads metadata and manifests only, so it is instant and works whatever is broken. With
--deep it also asks torch what it can compute on, and imports every part, each in a process
of its own: that takes seconds.

The exit code is 2 if pgsynth itself cannot work as it is. A broken package of
somebody else is reported and left out: everything else works, and the exit code is 0.

With --json: ok (nothing fails), checks (name, status, message, cure), broken. Status
is ok, warn or fail."""


def _parser() -> Parser:
    parser = Parser("doctor", "Say what is installed, which devices there are, and what is broken.", epilog=_EPILOG)
    parser.add_argument("--deep", action="store_true", help="ask torch what it can compute on, and import every part")
    add_common(parser)
    return parser


def _run(arguments: argparse.Namespace, session: Session) -> int:
    checks = list(doctor(session.registry))
    if arguments.deep:
        with progress("Asking torch what it can compute on, and importing every part"):
            checks += [*device_checks(), *import_checks(session.registry, patience())]
    failed = [check for check in checks if check.status == "fail"]
    if arguments.json:
        broken = broken_facts(session.registry.broken)
        say_json({"ok": not failed, "checks": list(map(asdict, checks)), "broken": broken})
    else:
        _show(checks, deep=arguments.deep)
    return UNWELL if any(_is_ours(check) for check in failed) else 0


def _is_ours(check: Check) -> bool:
    """Whether pgsynth cannot work because of it; a stranger's package is left out instead."""
    return not check.name.startswith("package ") or check.name == f"package {OWN_NAME}"


def _show(checks: Sequence[Check], *, deep: bool) -> None:
    width = min(24, max(len(check.name) for check in checks))  # a long name moves only its own line
    for check in checks:
        status = painted(f"{check.status:<4}", _STYLE[check.status], "stdout")
        say(f"{status}  {one_line(check.name):<{width}}  {one_line(check.message)}")
        if check.cure:
            say(f"{'':<{width + 8}}{painted('cure: ', 'good', 'stdout')}{one_line(check.cure)}")
    unwell = [check for check in checks if check.status != "ok"]
    failed = sum(check.status == "fail" for check in unwell)
    say()
    say("all is well" if not unwell else f"{failed} failed, {len(unwell) - failed} with a warning")
    if not deep:
        say("devices, and whether every part can be imported: pgsynth doctor --deep")


COMMAND = Command(_parser, _run)
