"""Take plugins out again, whatever is broken: read from metadata, nobody's code is imported. Floor 2.

What goes is what a package lists as its own, and nothing that is not certainly its own. pip is not needed for it.
"""

from __future__ import annotations

import importlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Final

from packaging.utils import canonicalize_name

from pgsynth_core.errors import PgsynthError, Problem, UserError, suggestion
from pgsynth_core.packages.environment import Environment
from pgsynth_core.packages.installing import RollbackFailed, alone_here, undo
from pgsynth_core.packages.libraries import core_requirements
from pgsynth_core.packages.older_forms import belongs_here, older_form
from pgsynth_core.packages.owned import owned
from pgsynth_core.packages.present import Present, present
from pgsynth_core.packages.requirements import applying, required_by
from pgsynth_core.packages.resolving import everything_considered
from pgsynth_core.packages.switching import taken_for_a_package
from pgsynth_core.packages.undoing import Snapshot, prune
from pgsynth_core.registry import (
    OWN_NAME,
    Registry,
    UserList,
    changed_user_list,
    normalised,
    read_user_list,
    user_list_file,
)
from pgsynth_core.runs import list_runs, runs_root
from pgsynth_core.runs.durable import read_json, remove

__all__ = ["Removal", "list_or_empty", "plan_removal", "plugin_names", "remove_plugins"]

_MOST_RUNS: Final = 5


@dataclass(frozen=True)
class Removal:
    """A plugin that would go.

    Attributes:
        name: The distribution.
        version: Its version; several, with commas, if it is here more than once; empty if none is told.
        found: Its metadata folders; none if it is only on the user's list.
        files: What goes.
        outside: What of it lies in no folder that is plainly its own, see `owned.Owned`.
        adds: ``kind:name`` of what it adds, see `Manifest.adds`; empty if its manifest cannot be used.
        runs: Runs that were made with it.
        left: What stays and may be its own, or is not needed any more, a sentence each.
        listed: Whether it stands in the user's list.
    """

    name: str
    version: str
    found: tuple[Present, ...]
    files: tuple[Path, ...]
    outside: tuple[Path, ...]
    adds: tuple[str, ...]
    runs: tuple[str, ...]
    left: tuple[str, ...]
    listed: bool


def plugin_names(registry: Registry, listed: UserList) -> tuple[str, ...]:
    """Every name that may be uninstalled: what says that it is a plugin, what is broken, what the user's list names."""
    names = {one.name for one in present() if one.announces()} | registry.packages
    names |= {*listed.disabled, *(kept.name for kept in listed.plugin)}
    return tuple(sorted(names - {OWN_NAME}))


def plan_removal(words: Sequence[str], environment: Environment, *, runs: str | None = None) -> tuple[Removal, ...]:
    """What would go.

    Args:
        words: Names of plugins.
        environment: Where.
        runs: Where runs are; the usual folder if None.

    Raises:
        UserError: With every name that is none of a plugin here, and what to do.
    """
    listed = list_or_empty()
    here = tuple(present())
    removals, problems = [], []
    with everything_considered() as registry:
        allowed = plugin_names(registry, listed)
        for name in dict.fromkeys(map(normalised, words)):
            found = tuple(one for one in here if one.name == name)
            if any(not one.older for one in found):  # an older form elsewhere is the source of what lies here
                found = tuple(one for one in found if not one.older or belongs_here(one, environment))
            if problem := _refusal(name, found, allowed, environment):
                part = None if found else taken_for_a_package(registry, name)
                problems.append(part or problem)
                continue
            removals.append(_removal(name, found, registry, listed))
    if problems:
        raise UserError(problems)
    needing = _runs_with({one.name for one in removals}, runs)
    together = frozenset(one.name for one in removals)
    return tuple(
        replace(one, runs=needing.get(one.name, ()), left=(*one.left, *_idle(one, here, together))) for one in removals
    )


def list_or_empty() -> UserList:
    """The user's list; empty if it cannot be read."""
    try:
        return read_user_list()
    except UserError:  # told already, and no reason to keep a broken package
        return UserList()


def _refusal(name: str, found: tuple[Present, ...], allowed: Sequence[str], environment: Environment) -> Problem | None:
    """Why this cannot be uninstalled as a plugin."""
    by_pip = f"{environment.python} -m pip uninstall {name}"
    if name == OWN_NAME:
        return Problem("this is pgsynth itself, and no plugin.", name, f"To remove it: {by_pip}")
    if name in core_requirements() and (found or name not in allowed):
        message = f"{name} is a library that pgsynth itself stands on, and no plugin."
        return Problem(message, name, f"Leave it. To remove it all the same: {by_pip}")
    if name not in allowed:
        if found:
            return Problem(f"{name} is here, and is no plugin of pgsynth.", name, f"To remove it: {by_pip}")
        return Problem("there is no plugin of that name here.", name, suggestion(name, allowed, what="plugins"))
    if older := [one for one in found if one.older and belongs_here(one, environment)]:
        return older_form(older[0], environment)
    elsewhere = [one for one in found if one.site not in environment.sites]
    if elsewhere:
        message = f"it lies in {elsewhere[0].site}, which is not a folder of this environment, {environment.prefix}."
        return Problem(message, name, "Remove it where it was installed, or take that folder off the import path.")
    return None


def _removal(name: str, found: tuple[Present, ...], registry: Registry, listed: UserList) -> Removal:
    own = [owned(one) for one in found]
    files = tuple(dict.fromkeys(path for each in own for path in each.files))
    outside = tuple(dict.fromkeys(path for each in own for path in each.outside))
    left = tuple(line for each in own for line in each.left)
    version = ", ".join(dict.fromkeys(one.version for one in found if one.version))
    on_list = name in {kept.name for kept in listed.plugin} or name in listed.disabled
    adds = tuple(added for added, package in registry.adds if package == name)
    return Removal(name, version, found, files, outside, adds, (), left, on_list)


def _idle(one: Removal, here: Sequence[Present], together: frozenset[str]) -> Iterator[str]:
    """Libraries that came for it, as far as can be told: nothing else that is here asks for them."""
    texts = [text for found in one.found for text in required_by(found)]
    brought = {canonicalize_name(requirement.name) for requirement in applying(texts)}
    brought &= {other.name for other in here if other.site in {found.site for found in one.found}}
    brought -= {OWN_NAME, *core_requirements(), *together}
    if not brought:
        return
    asked = {
        canonicalize_name(requirement.name)
        for other in here
        if other.name not in together
        for requirement in applying(required_by(other))
    }
    if idle := sorted(brought - asked):
        yield f"nothing else here asks for {', '.join(idle)}; if you do not need it: pip uninstall {' '.join(idle)}"


def _runs_with(names: set[str], runs: str | None) -> dict[str, tuple[str, ...]]:
    """The runs whose lock names these packages; a folder that cannot be read holds none that we know of."""
    needing: dict[str, list[str]] = {}
    try:
        folders = list_runs(runs_root(runs))
    except PgsynthError:
        return {}
    for folder in folders:
        packages = (read_json(folder.lock_file) or {}).get("packages")
        for name in names & set(packages if isinstance(packages, dict) else ()):
            needing.setdefault(name, []).append(folder.id)
    return {name: tuple(ids) for name, ids in needing.items()}


# ------------------------------------------------------------------------------------------- the change itself
def remove_plugins(
    removals: Sequence[Removal], environment: Environment, *, tell: Callable[[str], None] = print
) -> tuple[Problem, ...]:
    """Remove them, all or none, and take them off the user's list.

    Args:
        removals: What goes.
        environment: Where.
        tell: Where to say that something is undone.

    Returns:
        What of it did not come about: the list that could not be changed, what is still found on the import path.

    Raises:
        UserError: If a file cannot be removed; everything is as it was.
        RollbackFailed: If it is not.
    """
    folder = Path(tempfile.mkdtemp(prefix="pgsynth-"))
    keep = False
    try:
        with alone_here(environment):
            files = [path for one in removals for path in one.files]
            snapshot = Snapshot.take(environment, [one.name for one in removals], files, folder / "before")
            leaving = frozenset(_no_longer_searched(files))
            try:
                _remove(removals, environment)
            except BaseException as error:
                undo(snapshot, error, tell)
                raise
            return (*_forget([one for one in removals if one.listed]), *_still_found(removals, leaving))
    except RollbackFailed:
        keep = True
        raise
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def _remove(removals: Sequence[Removal], environment: Environment) -> None:
    for one in removals:
        for path in one.files:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                reason = error.strerror or str(error)
                raise UserError(f"{path} cannot be removed: {reason}.", where=one.name, cure="Mend that.") from error
        for found in one.found:
            remove(found.info)
        prune({path.parent for path in one.files}, environment.sites)
    names = {one.name for one in removals}
    if there := [one.info for one in present(environment.sites) if one.name in names]:
        raise UserError(f"{there[0]} cannot be removed.", where=", ".join(names), cure="Have it writable for you.")


def _no_longer_searched(files: Iterable[Path]) -> Iterator[str]:
    """Folders that are on the import path because of a file that goes: of what was used as it lay."""
    for path in files:
        if path.suffix == ".pth":
            with suppress(OSError, UnicodeDecodeError):
                yield from map(os.path.realpath, path.read_text(encoding="utf-8").splitlines())


def _still_found(removals: Sequence[Removal], leaving: frozenset[str]) -> Iterator[Problem]:
    """What Python still finds of these names, wherever and in whatever form."""
    importlib.invalidate_caches()
    for one in removals:
        found = (str(each.locate_file("")) for each in metadata.Distribution.discover(name=one.name))
        for place in dict.fromkeys(place for place in found if os.path.realpath(place) not in leaving):
            cure = "Remove it where it was installed, or take that folder off the import path."
            yield Problem(f"it is still found, in {place}.", one.name, cure)


def _forget(removals: Sequence[Removal]) -> tuple[Problem, ...]:
    names = {one.name for one in removals}
    if not names:
        return ()

    def without(listed: UserList) -> UserList:
        plugins = tuple(kept for kept in listed.plugin if kept.name not in names)
        disabled = tuple(name for name in listed.disabled if name not in names)
        return listed.model_copy(update={"plugin": plugins, "disabled": disabled})

    try:
        changed_user_list(without)
    except UserError as error:
        cure = f"Take out of {user_list_file()}: {', '.join(sorted(names))}."
        return tuple(Problem(problem.message, problem.where, cure) for problem in error.problems)
    return ()
