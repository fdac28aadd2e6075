"""What kind of environment this Python runs in, and who may change it. Floor 2, no torch, imports nobody's code.

pip is the right tool in a plain virtual environment. A tool environment of uv or pipx is made anew by its own tool,
which would forget what pip put there; an environment without pip, the system's own Python and a folder that cannot be
written are not ours to change. For these there is the exact command that is right.
"""

from __future__ import annotations

import os
import shlex
import sys
import sysconfig
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal

from pgsynth_core.errors import UserError
from pgsynth_core.packages.wanted import Wanted, with_extras
from pgsynth_core.registry import OWN_NAME, KeptPackage, normalised

__all__ = ["Environment", "NotByPip", "Task", "kind_of", "refuse_unless_pip", "this_environment"]

Kind = Literal["venv", "conda", "uv-tool", "pipx", "uv-venv", "no-pip", "system", "read-only"]
Action = Literal["install", "uninstall"]

_UV_RECEIPT: Final = "uv-receipt.toml"
_PIPX_METADATA: Final = "pipx_metadata.json"
_BY_PIP: Final = ("venv", "conda")


class NotByPip(UserError):
    """pip is not the tool to change this environment with.

    Args:
        message: Why.
        where: The environment.
        commands: What is to be run instead, one after the other.
    """

    def __init__(self, message: str, *, where: str, commands: Sequence[Sequence[str]]) -> None:
        self.commands = tuple(map(tuple, commands))
        super().__init__(message, where=where, cure=f"Run: {', then: '.join(map(shlex.join, commands))}")


@dataclass(frozen=True)
class Environment:
    """Where this Python runs.

    Attributes:
        kind: What it is.
        prefix: Its folder.
        python: Its interpreter.
        paths: Where what is installed goes, by the names of `sysconfig`: purelib, platlib, scripts, data, include.
        base: The folder of the Python that it was made from; equals `prefix` outside a virtual environment.
    """

    kind: Kind
    prefix: Path
    python: str
    paths: Mapping[str, Path]
    base: Path

    @property
    def sites(self) -> tuple[Path, ...]:
        """Its own folders of packages."""
        return tuple(dict.fromkeys((self.paths["purelib"], self.paths["platlib"])))


@dataclass(frozen=True)
class Task:
    """What is to be done, as far as a command of another tool needs it.

    Attributes:
        action: To install or to uninstall.
        wanted: What is to be installed.
        names: What is to be uninstalled.
        kept: What the user's list names: a tool that makes its environment anew has to be told all of it.
    """

    action: Action
    wanted: tuple[Wanted, ...] = ()
    names: tuple[str, ...] = ()
    kept: tuple[KeptPackage, ...] = ()


def this_environment() -> Environment:
    """The environment of this process."""
    prefix, base = Path(sys.prefix), Path(sys.base_prefix)
    paths = {name: Path(path) for name, path in sysconfig.get_paths().items()}
    kind = kind_of(prefix, base, stdlib=paths["stdlib"], site=paths["purelib"], has_pip=find_spec("pip") is not None)
    return Environment(kind, prefix, sys.executable, paths, base)


def kind_of(prefix: Path, base: Path, *, stdlib: Path, site: Path, has_pip: bool) -> Kind:
    """What kind of environment lies there.

    Args:
        prefix: Its folder.
        base: That of the Python it was made from.
        stdlib: Where that Python's library is: a marker there gives it to the system's own package manager (PEP 668).
        site: Where packages go.
        has_pip: Whether pip can be run in it.
    """
    if (prefix / _UV_RECEIPT).is_file():
        return "uv-tool"
    if (prefix / _PIPX_METADATA).is_file():
        return "pipx"
    if prefix == base and (stdlib / "EXTERNALLY-MANAGED").is_file():
        return "system"
    if not os.access(site, os.W_OK):
        return "read-only"
    if not has_pip:
        return "uv-venv" if "uv" in _venv_settings(prefix) else "no-pip"
    return "conda" if (prefix / "conda-meta").is_dir() else "venv"


def _venv_settings(prefix: Path) -> dict[str, str]:
    """What pyvenv.cfg says; uv leaves its version there."""
    try:
        lines = (prefix / "pyvenv.cfg").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {key.strip().lower(): value.strip() for key, _, value in pairs}


def refuse_unless_pip(environment: Environment, task: Task) -> None:
    """Refuse to change what pip should not.

    Raises:
        NotByPip: With the exact command that is right here.
    """
    if environment.kind in _BY_PIP or (environment.kind == "no-pip" and task.action == "uninstall"):
        return
    why, commands = _instead(environment, task)
    raise NotByPip(why, where=str(environment.prefix), commands=commands)


def _instead(environment: Environment, task: Task) -> tuple[str, list[list[str]]]:
    prefix, kind = environment.prefix, environment.kind
    if kind == "uv-tool":
        why = "uv made this environment, and makes it anew from its own list: what pip puts here would vanish."
        return why, [_uv_tool(prefix, task)]
    if kind == "pipx":
        why = "pipx made this environment, and keeps its own list: what pip puts here would vanish with an upgrade."
        return why, _pipx(prefix.name, task)
    if kind == "uv-venv":
        return "uv made this environment, and there is no pip in it.", [_uv_pip(environment, task)]
    again = ["pgsynth", "plugins", task.action, *(task.names or _words(task.wanted))]
    if kind == "no-pip":
        return "there is no pip in this environment.", [[environment.python, "-m", "ensurepip"], again]
    if task.action == "uninstall":
        why = f"{environment.paths['purelib']} is not yours to change; whoever may runs this."
        return why, [[environment.python, "-m", "pip", "uninstall", *task.names]]
    home = os.path.expanduser("~/pgsynth-env")
    into = [f"{home}/bin/python", "-m", "pip", "install", OWN_NAME, *_words(task.wanted)]
    fresh = [[environment.python, "-m", "venv", home], into]
    if kind == "system":
        return "this Python belongs to the system: give pgsynth an environment of its own.", fresh
    return f"{environment.paths['purelib']} cannot be written: give pgsynth an environment of its own.", fresh


def _words(wanted: Sequence[Wanted]) -> list[str]:
    """As pip, uv and ``pgsynth plugins install`` all take them."""
    return [word for one in wanted for word in (*(["-e"] if one.editable else []), _written(one))]


# ------------------------------------------------------------------------------------------- uv and pipx
def _uv_tool(prefix: Path, task: Task) -> list[str]:
    """`uv tool install` replaces everything that came along, so all of it is named."""
    tool, along, python = _receipt(prefix)
    gone = set(task.names)
    for kept in task.kept:
        along.setdefault(kept.name, _kept_flag(kept))
    for wanted in task.wanted:
        along[wanted.name or wanted.text] = _wanted_flag(wanted)
    flags = [word for name, flag in along.items() if name not in gone for word in flag]
    return ["uv", "tool", "install", *tool, *(["--python", python] if python else []), *flags]


def _receipt(prefix: Path) -> tuple[list[str], dict[str, list[str]], str]:
    """What uv noted: the words that name the tool, what came along with it by name, and the Python asked for."""
    try:
        noted = tomllib.loads((prefix / _UV_RECEIPT).read_text(encoding="utf-8")).get("tool", {})
    except (OSError, ValueError):
        noted = {}
    tool, along = [OWN_NAME], dict[str, list[str]]()
    for requirement in noted.get("requirements", []):
        written = {"name": requirement} if isinstance(requirement, str) else requirement
        name = normalised(str(written.get("name", "")))
        target, editable = _uv_requirement(written)
        if name == OWN_NAME:
            tool = ["--editable", target] if editable else [target]
        elif name:
            along[name] = ["--with-editable" if editable else "--with", target]
    return tool, along, str(noted.get("python") or "")


def _uv_requirement(written: Mapping[str, Any]) -> tuple[str, bool]:
    """How a noted requirement is written on the command line, and whether it is editable."""
    name = with_extras(str(written.get("name", "")), [str(extra) for extra in written.get("extras", ())])
    if path := written.get("editable"):
        return (str(path) if isinstance(path, str) else str(written.get("directory", name))), True
    if path := written.get("directory") or written.get("path"):
        return str(path), False
    if url := written.get("git"):
        return f"{name} @ git+{url}", False
    if url := written.get("url"):
        return f"{name} @ {url}", False
    return f"{name}{written.get('specifier', '')}", False


def _kept_flag(kept: KeptPackage) -> list[str]:
    if kept.source:
        return ["--with-editable" if kept.editable else "--with", kept.source]
    return ["--with", f"{with_extras(kept.name, kept.extras)}=={kept.version}"]


def _wanted_flag(wanted: Wanted) -> list[str]:
    return ["--with-editable" if wanted.editable else "--with", _written(wanted)]


def _written(wanted: Wanted) -> str:
    return str(wanted.path) if wanted.path else wanted.requirement


def _pipx(venv: str, task: Task) -> list[list[str]]:
    """Its flag holds for all that one command names, so that folders used as they lie have a command of their own."""
    if task.action == "uninstall":
        return [["pipx", "uninject", venv, *task.names]]
    plain, editable = ([_written(one) for one in task.wanted if one.editable is kind] for kind in (False, True))
    commands = [["pipx", "inject", venv, *plain]] if plain else []
    return [*commands, ["pipx", "inject", "--editable", venv, *editable]] if editable else commands


def _uv_pip(environment: Environment, task: Task) -> list[str]:
    active = os.environ.get("VIRTUAL_ENV", "")
    python = [] if active and Path(active) == environment.prefix else ["--python", environment.python]
    if task.action == "uninstall":
        return ["uv", "pip", "uninstall", *python, *task.names]
    return ["uv", "pip", "install", *python, *_words(task.wanted)]
