"""What is here in an older form than ``.dist-info``: pgsynth neither changes nor removes it. Floor 2.

Such metadata (``.egg-info`` of conda and old setuptools, eggs) does not say reliably which files belong to it, so what
pip makes of them could not be put back: it is refused, with the command that does it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from pgsynth_core.errors import Problem, UserError
from pgsynth_core.packages.environment import Environment, this_environment
from pgsynth_core.packages.present import Present
from pgsynth_core.registry import normalised

__all__ = ["belongs_here", "older_form", "refuse_older_forms"]

_LINK = ".egg-link"


def belongs_here(one: Present, environment: Environment) -> bool:
    """Whether a distribution in an older form lies in the environment, or is linked into it from its source folder."""
    if any(site in one.info.parents for site in environment.sites):
        return True
    return any(_linked(one.name, site) for site in environment.sites)


def _linked(name: str, site: os.PathLike[str]) -> bool:
    try:
        names = os.listdir(site)
    except OSError:
        return False
    return any(each.endswith(_LINK) and normalised(each.removesuffix(_LINK)) == name for each in names)


def older_form(one: Present, environment: Environment, *, after: str = "") -> Problem:
    """Why pgsynth does not touch it, where it lies, and what does.

    Args:
        one: In an older form.
        environment: Where.
        after: The version that it is to have; empty if it is to go.
    """
    told = f"{one.name} {one.version}".rstrip()
    message = f"{told} is here in an older form, which does not say for certain what its files are: {one.info}."
    again = ", then this again." if after else "."
    if _by_conda(one, environment):
        command = f"conda install {one.name}={after}" if after else f"conda remove {one.name}"
    elif one.info.is_file() and one.info.suffix == ".egg-info":  # of distutils; pip refuses those
        return Problem(message, one.name, f"pip cannot remove it: delete that file and its modules by hand{again}")
    else:
        command = f"{environment.python} -m pip uninstall {one.name}"
    return Problem(message, one.name, f"Run: {command}{again}")


def _by_conda(one: Present, environment: Environment) -> bool:
    noted = (environment.prefix / "conda-meta").glob(f"{one.name}-[0-9]*.json")
    return one.text("INSTALLER").strip() == "conda" or any(noted)


def refuse_older_forms(after: Mapping[str, str], here: Iterable[Present]) -> None:
    """Nothing changes that is here in an older form.

    Args:
        after: Name to version, of everything that would change.
        here: Everything that is here.

    Raises:
        UserError: With everything that would.
    """
    environment = this_environment()
    older = [one for one in here if one.older and one.name in after and belongs_here(one, environment)]
    if older:
        raise UserError(older_form(one, environment, after=after[one.name]) for one in older)
