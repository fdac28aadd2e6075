"""Write a new package, complete and working: a part of a kind, a hook, a command or a panel. Floor 2, no torch.

What is written are the files of `templates`, with the words between ``@`` filled in. The options in the manifest are
written by `sync` from the Config, as they are for every package. A folder is written beside its place and renamed:
there whole, or not at all.
"""

from __future__ import annotations

import importlib
import keyword
import os
import re
import shlex
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata, resources
from importlib.util import find_spec
from pathlib import Path
from typing import Final, get_args

from pgsynth_core.errors import UserError, suggestion
from pgsynth_core.manifest import CONTRACT_CURRENT, MANIFEST_VERSION, Kind
from pgsynth_core.packages.syncing import sync
from pgsynth_core.registry import NOUNS, OWN_NAME, Origin, Registry, normalised
from pgsynth_core.runs.durable import OUTPUT, refusing, remove, require_writable, temporary
from pgsynth_core.spec.reserved import MEANINGS, MODULE_NAMES

__all__ = ["FORMS", "Form", "Made", "scaffold"]

_ENDING: Final = ".template"
_TEST: Final = "test.py"
_LONGEST: Final = 30
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LEFT: Final = re.compile(r"@[A-Za-z]+@")


@dataclass(frozen=True)
class Form:
    """What `scaffold` can write.

    Attributes:
        noun: The word for one.
        ending: Of the class' name.
        summary: What the package does as it is written.
        needs: Extra of pgsynth that it needs.
        tries: Commands that show it at work, with ``{name}`` and ``{word}``, which has dashes.
    """

    noun: str
    ending: str
    summary: str
    tries: tuple[str, ...]
    needs: str = ""


FORMS: Final[Mapping[str, Form]] = {
    "base": Form(
        NOUNS["base"][0],
        "Base",
        "A small U-Net over folded pixels, trained from nothing.",
        ("pgsynth compose tiny base={name}",),
    ),
    "encoder": Form(
        NOUNS["encoder"][0],
        "Encoder",
        "A few convolutions over the photo: their cells are local tokens, the mean of all a global one.",
        ("pgsynth compose base=tiny encoder={name}",),
    ),
    "pose": Form(
        NOUNS["pose"][0],
        "Branch",
        "The drawn skeleton through two convolutions, added where the denoiser begins.",
        ("pgsynth compose tiny pose={name} attn=none",),
    ),
    "attention": Form(
        NOUNS["attention"][0],
        "Attention",
        "Two layers over what attention gives, added where the target body is.",
        ("pgsynth compose tiny attn={name}",),
    ),
    "dataset": Form(
        NOUNS["dataset"][0],
        "Dataset",
        "People of coloured dots, one at each joint.",
        ("pgsynth data check --dataset {name} -o sheet.png", "pgsynth compose tiny data={name}"),
    ),
    "annotator": Form(
        NOUNS["annotator"][0],
        "Annotator",
        "Somebody who stands where a photo differs from its edge.",
        ("pgsynth plugins show {name}", "pgsynth annotate PHOTO --pose --annotator {name}"),
    ),
    "metric": Form(
        NOUNS["metric"][0],
        "Metric",
        "The share of colours that prediction and truth have in common.",
        (
            "pgsynth plugins show {name}",
            "pgsynth evaluate --pred DIR --gt DIR --pairs CSV --metrics ssim --also {name}",
        ),
    ),
    "hook": Form(
        "hook",
        "Hook",
        "A diary of runs: steps, checkpoints and scores as JSON lines.",
        ("pgsynth train tiny train.steps=5 train.workers=0", "cat runs/*.{name}.jsonl"),
    ),
    "command": Form("command", "", "Say what a run's loss came to.", ("pgsynth {word} --help",)),
    "panel": Form(
        "panel",
        "Panel",
        "The loss of the newest run, as a line.",
        ("python -m pgsynth_tui.panels",),
        needs="tui",
    ),
}
"""Kind of part, or ``hook``, ``command``, ``panel``, to what is written."""


@dataclass(frozen=True)
class Made:
    """A package that was written.

    Attributes:
        kind: Of `FORMS`.
        name: The part's.
        distribution: What is installed.
        package: What is imported.
        folder: Where it lies.
        files: Paths in it, in order.
        next: Commands to go on with, to be run in this order.
    """

    kind: str
    name: str
    distribution: str
    package: str
    folder: Path
    files: tuple[str, ...]
    next: tuple[str, ...]


def scaffold(
    kind: str, name: str, registry: Registry, *, folder: Path | None = None, taken: Collection[str] = ()
) -> Made:
    """Write a package.

    Args:
        kind: Of `FORMS`.
        name: Of the part; the distribution and the package are named after it.
        registry: What is installed: its names are refused.
        folder: Where to write; by default a folder called like the distribution, here.
        taken: Words that no command may have.

    Raises:
        UserError: If there is no such form, the name cannot be used or is taken, or the folder cannot be written.
    """
    form = _form(kind)
    _require_name(kind, name, registry, taken)
    words = _words(kind, name, form)
    distribution, package = words["distribution"], words["package"]
    place = Path(os.path.abspath(distribution if folder is None else folder))
    texts = dict(sorted(_files(kind, words)))
    _require_place(place)
    with refusing("the package cannot be written", place, elsewhere=OUTPUT):
        built = temporary(place)
        try:
            for path, text in texts.items():
                (built / path).parent.mkdir(parents=True, exist_ok=True)
                (built / path).write_text(text, encoding="utf-8", newline="\n")
            if kind in get_args(Kind):
                with _importable(built, package):
                    sync(built / package / "pgsynth.toml")
            os.rename(built, place)  # onto an empty folder, too
        except BaseException:
            remove(built)
            raise
    shown = os.path.relpath(place) if place.is_relative_to(Path.cwd()) else str(place)
    following = (f"cd {shlex.quote(shown)}", "pip install -e '.[dev]'", *_tries(form, words), "pytest")
    return Made(kind, name, distribution, package, place, tuple(texts), following)


# ------------------------------------------------------------------------------------------- what is refused
def _form(kind: str) -> Form:
    if form := FORMS.get(kind):
        return form
    choice = suggestion(kind, tuple(FORMS), what="kinds")
    raise UserError(f"there is no kind {kind!r}.", where=f"plugins new {kind}", cure=choice)


def _require_name(kind: str, name: str, registry: Registry, taken: Collection[str]) -> None:
    """Refuse a name that cannot be used, or that something else has."""
    where = f"plugins new {kind} {name}"
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        message = f"{name[:80]!r} is no name for a part."
        rule = f"A name is lower-case letters and digits, words joined by one _, at most {_LONGEST} in all"
        raise UserError(message, where=where, cure=f"{rule}{_better(name)}.")
    if keyword.iskeyword(name):
        raise UserError(f"{name!r} is a word of Python.", where=where, cure=f"Write another, e.g. {name}_{kind}.")
    if kind in get_args(Kind) and ((meaning := MEANINGS.get(name)) or name in MODULE_NAMES):
        message = f"{name!r} means {meaning} in a spec." if meaning else f"{name!r} is an attribute of torch's modules."
        raise UserError(message, where=where, cure=f"Write another, e.g. {name}_{kind}.")
    for origin in _holders(kind, name, registry):
        message = f"the {FORMS[kind].noun} {name!r} is there already, of {origin}."
        cure = f"Write another name; with this one, both must be written package:{name}."
        raise UserError(message, where=where, cure=cure)
    if kind == "command" and _word(name) in taken:
        message = f"pgsynth itself has the command {_word(name)!r}."
        raise UserError(message, where=where, cure=f"Write another, e.g. {name}_more.")
    package = _package(name)
    if found := find_spec(package):
        message = f"a package {package} is there already: {found.origin}."
        raise UserError(message, where=where, cure=f"Write another name, or: pip uninstall {_distribution(name)}.")


def _better(name: str) -> str:
    close = "_".join(re.findall(r"[a-z0-9]+", name.lower()))[:_LONGEST].strip("_")
    return f", e.g. {close}" if _NAME.fullmatch(close) else ""


def _holders(kind: str, name: str, registry: Registry) -> Iterator[Origin]:
    """Whose something of that kind and name is."""
    if kind in ("command", "panel"):
        contributed = registry.commands if kind == "command" else registry.panels
        yield from (item.origin for item in contributed if item.item.name == _word(name))
    yield from (entry.origin for entry in registry.entries if (entry.kind, entry.name) == (kind, name))


def _require_place(place: Path) -> None:
    """Refuse a folder with something in it, and one that could not be made."""
    where = str(place)
    with refusing("the package cannot be written", place, elsewhere=OUTPUT):
        if os.path.lexists(place) and not place.is_dir():
            raise UserError("this is a file.", where=where, cure=f"Give the name of a folder: {OUTPUT}.")
        if place.is_symlink() or (place.is_dir() and any(place.iterdir())):
            message = "this is there already; nothing is written over."
            raise UserError(message, where=where, cure=f"Give the name of a folder that is not there yet: {OUTPUT}.")
    if not place.parent.is_dir():
        message = f"the folder {place.parent} to write in is not there."
        raise UserError(message, where=where, cure=f"Make it: mkdir -p {shlex.quote(str(place.parent))}.")
    require_writable(place, "nothing can be written here", elsewhere=OUTPUT)


# ------------------------------------------------------------------------------------------- what is written
def _package(name: str) -> str:
    return f"pgsynth_plugin_{name}"


def _distribution(name: str) -> str:
    return normalised(_package(name))


def _word(name: str) -> str:
    """As commands and panels are called: with dashes."""
    return name.replace("_", "-")


def _words(kind: str, name: str, form: Form) -> dict[str, str]:
    """What stands between ``@`` in the templates, to what it becomes."""
    words = {
        "name": name,
        "word": _word(name),
        "package": _package(name),
        "distribution": _distribution(name),
        "Class": "".join(part.capitalize() for part in name.split("_")) + form.ending,
        "Title": name.replace("_", " ").capitalize(),
        "VARIABLE": f"PGSYNTH_{name.upper()}_FILE",
        "summary": form.summary,
        "requires": f"{OWN_NAME}{f'[{form.needs}]' if form.needs else ''}{_at_least()}",
        "licence": " and pgsynth.toml" if kind in get_args(Kind) else "",
        "manifest": str(MANIFEST_VERSION),
        "contract": str(CONTRACT_CURRENT),
    }
    tries = [f"    {command}" for command in _tries(form, words)]
    tests = ["    pytest"]
    if kind in get_args(Kind):
        tests.insert(0, f"    pgsynth plugins sync {words['package']}/pgsynth.toml     # after a change of options")
    return words | {"try": "\n".join(tries), "test": "\n".join(tests)}


def _tries(form: Form, words: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(command.format(name=words["name"], word=words["word"]) for command in form.tries)


def _at_least() -> str:
    """The requirement's lowest version: the one at hand; what fits later is told by the manifest's contract."""
    try:
        return f">={metadata.version(OWN_NAME)}"
    except metadata.PackageNotFoundError:
        return ""


def _files(kind: str, words: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Path in the package's folder, and text."""
    package = words["package"]
    common = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        ".gitignore": "gitignore",
        ".github/workflows/ci.yml": "ci.yml",
    }
    root = resources.files("pgsynth_core.packages").joinpath("templates")
    for path, template in common.items():
        yield path, _filled(root.joinpath("common", template + _ENDING).read_text(encoding="utf-8"), words)
    for file in root.joinpath(kind).iterdir():
        own = file.name.removesuffix(_ENDING)
        path = f"tests/test_{words['name']}.py" if own == _TEST else f"{package}/{own}"
        yield path, _filled(file.read_text(encoding="utf-8"), words)
    yield f"{package}/py.typed", ""


def _filled(text: str, words: Mapping[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(f"@{word}@", value)
    assert not (left := _LEFT.findall(text)), f"nobody fills in {left}"
    return text


@contextmanager
def _importable(folder: Path, package: str) -> Iterator[None]:
    """Let a package be imported from a folder, and leave no trace of that: neither modules nor compiled files."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.dont_write_bytecode = before
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.partition(".")[0] == package]:
            del sys.modules[name]
        importlib.invalidate_caches()
