"""The user's own list of packages: which are switched off, and which were installed by pgsynth. Floor 1, no torch.

One small TOML file, ``plugins.toml`` in the user's configuration folder. `discover` leaves out what it switches off;
``pgsynth plugins install | uninstall | restore | disable | enable`` write it. It names packages, versions and where
they came from: data, nothing that is run.
"""

from __future__ import annotations

import fcntl
import os
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from pgsynth_core.errors import Problem, UserError
from pgsynth_core.registry.locate import normalised

__all__ = [
    "CONFIG_VARIABLE",
    "KeptPackage",
    "UserList",
    "changed_user_list",
    "config_folder",
    "read_user_list",
    "user_list_file",
    "write_user_list",
]

CONFIG_VARIABLE: Final = "PGSYNTH_CONFIG"
_HEAD: Final = "# What `pgsynth plugins` keeps for you. Written by its commands; you may edit it too.\n"

_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$"), AfterValidator(normalised)]
"""Name of a distribution: it ends up in commands, so it is nothing that a shell or pip would read as more."""

_Extra = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class KeptPackage(BaseModel):
    """A package that `pgsynth plugins install` put here."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: _Name = Field(description="The distribution, normalised.")
    version: str = Field(pattern=r"^[A-Za-z0-9.+!_-]+$", description="The version that was installed.")
    source: str = Field(default="", description="The wheel or folder it came from; empty: the package index.")
    editable: bool = Field(default=False, description="The folder is used as it lies: for authors.")
    extras: tuple[_Extra, ...] = Field(default=(), description="Optional extras of the package that came with it.")


class UserList(BaseModel):
    """The whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    disabled: tuple[_Name, ...] = Field(default=(), description="Distributions that are not looked at.")
    plugin: tuple[KeptPackage, ...] = Field(default=(), description="What `restore` brings back.")


def config_folder() -> Path:
    """Where the user's settings are: ``$PGSYNTH_CONFIG``, else ``pgsynth`` in ``$XDG_CONFIG_HOME`` or ``~/.config``."""
    if chosen := os.environ.get(CONFIG_VARIABLE):
        return Path(chosen).expanduser()
    home = os.environ.get("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / "pgsynth"


def user_list_file() -> Path:
    """The file, whether or not it is there."""
    return config_folder() / "plugins.toml"


def read_user_list() -> UserList:
    """The user's list; empty if there is none.

    Raises:
        UserError: If the file cannot be read or is not of the form; names it and what to do.
    """
    try:
        path = user_list_file()
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return UserList()
    except tomllib.TOMLDecodeError as error:
        raise UserError(_unread(f"not valid TOML: {error}")) from error
    except (OSError, RuntimeError, ValueError) as error:  # of the last two: there is no home; it is no UTF-8
        raise UserError(_unread(getattr(error, "strerror", None) or str(error))) from error
    try:
        return UserList.model_validate(raw)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()[:3])
        raise UserError(_unread(faults)) from error


def _unread(reason: str) -> Problem:
    cure = "Mend it, or remove it: it holds what is switched off, and what `pgsynth plugins restore` brings back."
    message = f"your list of packages cannot be read: {reason.rstrip('.')}."
    try:
        return Problem(message, str(user_list_file()), cure)
    except RuntimeError:
        return Problem(message, "", f"Say where your settings are: export {CONFIG_VARIABLE}=FOLDER.")


def write_user_list(listed: UserList) -> None:
    """Write the user's list: beside, synced to disk, renamed; where it is a link, beside what the link leads to.

    Raises:
        UserError: If it cannot be written; it is as it was.
    """
    import tomlkit

    document = tomlkit.document()
    document["disabled"] = sorted(set(listed.disabled))
    plugins = tomlkit.aot()
    for kept in sorted(listed.plugin, key=lambda one: one.name):
        plugins.append(tomlkit.item(kept.model_dump(exclude_defaults=True)))
    if listed.plugin:
        document["plugin"] = plugins
    path = Path(os.path.realpath(user_list_file()))
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("w", encoding="utf-8") as file:
            file.write(_HEAD + tomlkit.dumps(document))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        message = f"your list of packages cannot be written: {error.strerror or error}; it is as it was."
        cure = f"Choose a folder you may write to: export {CONFIG_VARIABLE}=FOLDER."
        raise UserError(message, where=str(path), cure=cure) from error
    finally:
        try:
            beside.unlink(missing_ok=True)
        except OSError:
            pass


def changed_user_list(change: Callable[[UserList], UserList]) -> UserList:
    """Read the user's list, change it and write it, while no other command does.

    Args:
        change: Gives the new list for the one that is there now.

    Returns:
        The list as it was before.

    Raises:
        UserError: If it cannot be read or written; it is as it was.
    """
    with _alone():
        listed = read_user_list()
        if (changed := change(listed)) != listed:
            write_user_list(changed)
    return listed


@contextmanager
def _alone() -> Iterator[None]:
    """Hold a lock on the folder of the list; where none can be had, reading or writing says what is wrong, if it is."""
    descriptor = None
    try:
        with suppress(OSError, RuntimeError):
            config_folder().mkdir(parents=True, exist_ok=True)
            descriptor = os.open(config_folder(), os.O_RDONLY)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)
