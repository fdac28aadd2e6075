"""Take plugins out again, whatever is broken: read from metadata, nobody's code is imported. Floor 2.

What goes is what a package lists as its own, and nothing that is not certainly its own. pip is not needed for it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from packaging.utils import canonicalize_name

from pgsynth_core.errors import PgsynthError, Problem, UserError, suggestion
from pgsynth_core.manifest import read_manifest
from pgsynth_core.packages.environment import Environment
from pgsynth_core.packages.installing import RollbackFailed, alone_here, undo
from pgsynth_core.packages.libraries import core_requirements
from pgsynth_core.packages.present import Present, compiled, present
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
        adds: ``kind:name`` of what it adds, see `Manifest.adds`; empty if its manifest cannot be used.
        runs: Runs that were made with it.
        left: What stays and may be its own, or is not needed any more, a sentence each.
        listed: Whether it stands in the user's list.
    """

    name: str
    version: str
    found: tuple[Present, ...]
    files: tuple[Path, ...]
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
    elsewhere = [one for one in found if one.site not in environment.sites]
    if elsewhere:
        message = f"it lies in {elsewhere[0].site}, which is not a folder of this environment, {environment.prefix}."
        return Problem(message, name, "Remove it where it was installed, or take that folder off the import path.")
    return None


def _removal(name: str, found: tuple[Present, ...], registry: Registry, listed: UserList) -> Removal:
    files, left = dict[Path, None](), list[str]()
    for one in found:
        mine, said = _not_shared(one)
        files |= dict.fromkeys(mine)
        left += said
        if not one.listed:
            more, said = _of_a_ghost(one)
            files |= dict.fromkeys(more)
            left += said
    version = ", ".join(dict.fromkeys(one.version for one in found if one.version))
    on_list = name in {kept.name for kept in listed.plugin} or name in listed.disabled
    adds = tuple(added for added, package in registry.adds if package == name)
    return Removal(name, version, found, tuple(files), adds, (), tuple(left), on_list)


def _not_shared(one: Present) -> tuple[list[Path], list[str]]:
    """Its files but for those that another package lists as well, and whose those are."""
    files = one.files()
    mine, theirs = {str(path): path for path in files}, dict[Path, str]()
    for other in present():
        if other.info != one.info and other.name != one.name:
            for path in (mine[text] for text in other.written() if text in mine):
                theirs |= dict.fromkeys((path, *compiled(path)), other.name)
    shared = [path for path in files if path in theirs]
    said = [f"{shared[0]} stays: it is on the list of {theirs[shared[0]]}, too ({len(shared)} such)"] if shared else []
    return [path for path in files if path not in theirs], said


def _of_a_ghost(one: Present) -> tuple[list[Path], list[str]]:
    """Of one that does not list its files: what is certainly its own all the same, and what to look at by hand."""
    certain: list[Path] = []
    said: list[str] = []
    for entry in one.manifests():
        top, _, inside = entry.value.partition(":")
        folder = one.site / top
        if not top.isidentifier() or not folder.is_dir() or folder.is_symlink():
            continue
        if _is_its_own(folder / inside, one) and not _somebody_elses(folder, one):
            certain += [path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]
        else:
            said.append(f"{one.name} does not list its files. If this folder is its own, delete it: {folder}")
    if not certain and not said:
        said.append(f"{one.name} does not list its files. If it left any, they are in {one.site}")
    return certain, said


def _is_its_own(manifest: Path, one: Present) -> bool:
    """Whether the folder holds a manifest that bears the package's name, one that cannot be read counts as none."""
    try:
        return read_manifest(manifest)[0].package.name == one.name
    except PgsynthError:
        return False


def _somebody_elses(folder: Path, one: Present) -> bool:
    return any(other.lists(folder) for other in present() if other.info != one.info)


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
        Why the list could not be changed; empty if it could, or names none of them.

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
            try:
                _remove(removals, environment)
            except BaseException as error:
                undo(snapshot, error, tell)
                raise
            return _forget([one for one in removals if one.listed])
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
