"""Call the lifecycle hooks of installed packages, each behind a guard. Floor 1, no torch.

Nothing is imported until a hook is first called that a manifest's ``implements`` names. Every ``[[hook]]`` entry gets
a pluggy manager of its own: its signatures are checked against `events.Events`, and neither a bad registration nor a
raising call can touch another package. pluggy's own discovery of entry points is never used: it imports everything at
once and unguarded.
"""

from __future__ import annotations

import copy
import inspect
import logging
import weakref
from dataclasses import dataclass
from typing import Any, Final

from pluggy import PluginManager, PluginValidationError

from pgsynth_core.errors import PartError, Problem, suggestion
from pgsynth_core.events import HOOK_NAMES, PROJECT, Events
from pgsynth_core.manifest import Hook
from pgsynth_core.registry import Contributed, Registry, load_target, raise_interrupts, reason_of, removal

__all__ = ["Disabled", "Lifecycle", "lifecycle_of"]

_LOG: Final = logging.getLogger(PROJECT)


@dataclass(frozen=True)
class Disabled:
    """A hook that is switched off.

    Attributes:
        package: Normalised name of the distribution.
        version: Its version.
        hook: Which hook failed, or which the entry implements if it could not be loaded.
        problem: The reason and the cure.
    """

    package: str
    version: str
    hook: str
    problem: Problem


class Lifecycle:
    """The hooks of everything installed.

    Making one imports nothing; an entry whose ``implements`` names no hook of ours is disabled at once.

    Args:
        registry: What is installed.
    """

    def __init__(self, registry: Registry) -> None:
        self._on = dict(enumerate(registry.hooks))
        self._managers: dict[int, PluginManager] = {}
        self._disabled: list[Disabled] = []
        for number, contributed in enumerate(registry.hooks):
            if unknown := [name for name in contributed.item.implements if name not in HOOK_NAMES]:
                reason = f"there is no hook {unknown[0]!r}. {suggestion(unknown[0], HOOK_NAMES, what='hooks')}"
                self._disable(number, reason)

    @property
    def disabled(self) -> tuple[Disabled, ...]:
        """The hooks switched off so far, oldest first."""
        return tuple(self._disabled)

    def call(self, hook: str, **arguments: Any) -> None:
        """Tell every package that implements the hook, in the order of the registry.

        Each gets its own copy of the arguments. One that raises or exits is disabled, logged once, and the rest run.

        Args:
            hook: A name of `events.HOOK_NAMES`.
            **arguments: All of that hook's arguments, plain data.

        Raises:
            TypeError: If the hook or its arguments are not those of `events.Events`: a mistake of the caller.
        """
        if hook not in HOOK_NAMES:
            raise TypeError(f"there is no hook {hook!r}. {suggestion(hook, HOOK_NAMES, what='hooks')}")
        if sorted(arguments) != (expected := sorted(_parameters(hook))):
            raise TypeError(f"the hook {hook} takes {expected}, not {sorted(arguments)}.")
        for number, contributed in list(self._on.items()):
            if hook not in contributed.item.implements or (manager := self._loaded(number)) is None:
                continue
            own = copy.deepcopy(arguments)
            try:
                getattr(manager.hook, hook)(**own)
            except BaseException as error:  # noqa: BLE001 - what extensions panic with is no Exception
                raise_interrupts(error)
                self._disable(number, f"it raised {reason_of(error, contributed.item.target)}", hook=hook, error=error)

    def _loaded(self, number: int) -> PluginManager | None:
        """The manager of an entry; None if it cannot be had, and then the entry is disabled."""
        if number not in self._managers:
            try:
                self._managers[number] = _registered(self._on[number])
            except BaseException as error:  # noqa: BLE001 - what extensions panic with is no Exception
                raise_interrupts(error)
                reason = error.problems[0].message if isinstance(error, PartError) else reason_of(error)
                self._disable(number, reason.replace(f" of {self._on[number].origin}", "", 1), error=error)
        return self._managers.get(number)

    def _disable(self, number: int, reason: str, *, hook: str = "", error: BaseException | None = None) -> None:
        contributed = self._on.pop(number)
        origin, entry = contributed.origin, contributed.item
        stop = "" if reason.endswith((".", "?")) else "."
        message = f"the hook {entry.target} of {origin} is switched off: {reason}{stop}"
        problem = Problem(message, cure=removal(origin.package))
        named = hook or ", ".join(entry.implements)
        self._disabled.append(Disabled(origin.package, origin.version, named, problem))
        _LOG.warning("%s", problem)
        _LOG.debug("the hook's traceback", exc_info=error)


_KEPT: Final[dict[int, Lifecycle]] = {}


def lifecycle_of(registry: Registry) -> Lifecycle:
    """The lifecycle of a registry, made when it is first asked for and kept as long as the registry lives.

    So a hook object is made once: what it remembers of one call it has in the next, and switched off it stays off.

    Args:
        registry: What is installed.
    """
    key = id(registry)  # a registry holds tables, so it cannot be a key itself
    if key not in _KEPT:
        _KEPT[key] = Lifecycle(registry)
        weakref.finalize(registry, _KEPT.pop, key, None)
    return _KEPT[key]


def _parameters(hook: str) -> tuple[str, ...]:
    return tuple(inspect.signature(getattr(Events, hook)).parameters)[1:]


def _registered(contributed: Contributed[Hook]) -> PluginManager:
    """A manager that holds this entry alone, checked against the specs and the manifest."""
    entry, origin = contributed.item, contributed.origin
    plugin = load_target(origin, entry.target, part="the hook")
    if isinstance(plugin, type):
        plugin = plugin()
    manager = PluginManager(PROJECT)
    manager.add_hookspecs(Events)
    try:
        manager.register(plugin, name=entry.target)
        manager.check_pending()
    except PluginValidationError as error:
        raise PartError(_explained(error, manager)) from error
    implemented = {caller.name for caller in manager.get_hookcallers(plugin) or ()}
    if implemented != set(entry.implements):
        raise PartError(f"it implements {sorted(implemented)}, but its manifest says {sorted(entry.implements)}.")
    return manager


def _explained(error: PluginValidationError, manager: PluginManager) -> str:
    if unknown := [name for name in vars(manager.hook) if name not in HOOK_NAMES]:
        return f"there is no hook {unknown[0]!r}. {suggestion(unknown[0], HOOK_NAMES, what='hooks')}"
    allowed = "; ".join(f"{hook}({', '.join(_parameters(hook))})" for hook in HOOK_NAMES)
    return f"{' '.join(str(error).split())}. Hooks take some of: {allowed}."
