"""Switch packages off and on in the user's own list. Floor 2, no torch; works whatever a package is broken in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pgsynth_core.errors import Problem, UserError, suggestion
from pgsynth_core.registry import (
    OWN_NAME,
    Registry,
    UserList,
    changed_user_list,
    normalised,
    read_user_list,
)

__all__ = ["Switched", "disable", "enable", "installed_packages", "taken_for_a_package"]


@dataclass(frozen=True)
class Switched:
    """What was done.

    Attributes:
        changed: Packages that are switched now.
        already: Those that were so before.
    """

    changed: tuple[str, ...]
    already: tuple[str, ...]


def installed_packages(registry: Registry) -> tuple[str, ...]:
    """Every package with a manifest that is here, whole, broken or switched off; pgsynth itself left out."""
    return tuple(sorted(registry.packages - {OWN_NAME}))


def disable(registry: Registry, names: Sequence[str]) -> Switched:
    """Leave packages out from now on, in every command of this user; nothing is uninstalled.

    Raises:
        UserError: If one is not installed, is a part and no package, or is pgsynth itself; nothing is switched then.
    """
    packages = _packages(registry, names, there=installed_packages(registry))

    def more(listed: UserList) -> UserList:
        return listed.model_copy(update={"disabled": tuple(dict.fromkeys((*listed.disabled, *packages)))})

    before = changed_user_list(more).disabled
    changed = tuple(package for package in packages if package not in before)
    return Switched(changed, tuple(package for package in packages if package not in changed))


def enable(registry: Registry, names: Sequence[str]) -> Switched:
    """Take packages in again. One that is not installed any more is taken off the list too.

    Raises:
        UserError: If one is neither on the list nor installed; nothing is switched then.
    """
    packages = _packages(registry, names, there=(*installed_packages(registry), *read_user_list().disabled))

    def fewer(listed: UserList) -> UserList:
        return listed.model_copy(update={"disabled": tuple(one for one in listed.disabled if one not in packages)})

    before = changed_user_list(fewer).disabled
    changed = tuple(package for package in packages if package in before)
    return Switched(changed, tuple(package for package in packages if package not in changed))


def _packages(registry: Registry, names: Sequence[str], *, there: Sequence[str]) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(normalised(name) for name in names))
    there = tuple(dict.fromkeys(there))
    if problems := [_unknown(registry, name, there) for name in found if name not in there]:
        raise UserError(problems)
    return found


def _unknown(registry: Registry, name: str, there: Sequence[str]) -> Problem:
    if name == OWN_NAME:
        return Problem("pgsynth itself cannot be switched off.", cure=suggestion("", there, what="packages"))
    if part := taken_for_a_package(registry, name):
        return part
    return Problem(f"there is no package {name!r} with parts here.", cure=suggestion(name, there, what="packages"))


def taken_for_a_package(registry: Registry, name: str) -> Problem | None:
    """What to say where a part is named and a package is meant; None if no part has that name."""
    plain = name.rpartition(":")[2].replace("-", "_")
    owners = sorted({entry.origin.package for entry in registry.entries if entry.name == plain})
    if not owners:
        return None
    others = [owner for owner in owners if owner != OWN_NAME]
    cure = f"Name the package: {others[0]}." if others else "Leave it out of a spec: pgsynth's own parts stay."
    return Problem(f"{plain!r} is a part of {' and of '.join(owners)}; a package goes as a whole.", name, cure)
