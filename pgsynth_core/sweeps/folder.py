"""An ablation on disk: which runs it is of, each with its frozen spec. Written once, whole; never changed.

runs/sweeps/<YYYYmmdd-HHMMSS>-<name>/
  sweep.json         what was typed, the factors, and of each combination its values, its overrides and the run it is,
                     or why it is pruned
  specs/<NUMBER>.yaml    the resolved spec of each combination that can be trained

A run of it is called by the sweep's id, its number and its values. So whether it was made, and how it stands, is seen
in the folder of runs and nowhere else: nothing is left to go wrong between two files, whenever a process is killed.
"""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from pgsynth_core.errors import Problem, UserError, suggestion
from pgsynth_core.runs import RunFolder, create_run
from pgsynth_core.runs.durable import IN_RUNS, json_text, read_json, refusing, remove, replace_text, sync, temporary
from pgsynth_core.runs.folder import run_name
from pgsynth_core.sweeps.sweep import Sweep

__all__ = ["Row", "SweepFolder", "create_sweep", "find_sweep", "list_sweeps", "read_sweep"]

SWEEPS: Final = "sweeps"
LATEST: Final = "latest"
_FILE: Final = "sweep.json"
_VERSION: Final = 1
_PROBLEM: Final = ("message", "where", "cure")
"""What is kept of why a combination is pruned."""
_POLL: Final = 0.05
_MOST_NAMED: Final = 8


@dataclass(frozen=True)
class Row:
    """One combination.

    Attributes:
        number: From 1 on.
        values: One of each factor.
        name: Its values in words.
        words: Its overrides.
        run: Id of its run, whether that has been made or not; empty if it is pruned.
        problems: Why it is pruned.
    """

    number: int
    values: tuple[str, ...]
    name: str
    words: tuple[str, ...]
    run: str
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class SweepFolder:
    """An ablation that was begun.

    Attributes:
        path: Its folder.
        words: What was typed behind ``pgsynth sweep``, with the flags that say of what it is.
        factors: Path -> values.
        rows: Every combination, in written order.
        evaluate: Flags of ``pgsynth evaluate`` with which finished runs are scored; None if they are not.
    """

    path: Path
    words: tuple[str, ...]
    factors: Mapping[str, tuple[str, ...]]
    rows: tuple[Row, ...]
    evaluate: tuple[str, ...] | None = None

    @property
    def id(self) -> str:
        """The folder's name; every run's begins with it."""
        return self.path.name

    @property
    def root(self) -> Path:
        """Where its runs are."""
        return self.path.parent.parent

    @property
    def good(self) -> tuple[Row, ...]:
        """Those that are not pruned."""
        return tuple(row for row in self.rows if row.run)

    @property
    def jobs_file(self) -> Path:
        """The jobs of it that were sent to Slurm; there is none before the first."""
        return self.path / "slurm.json"

    def folder(self, row: Row) -> RunFolder:
        """The run of a row, which need not have been made."""
        return RunFolder(self.root / row.run)

    def spec_file(self, row: Row) -> Path:
        """The frozen spec of a row."""
        return self.path / "specs" / f"{row.number:04}.yaml"

    def made(self, row: Row) -> RunFolder:
        """The run of a row, made now if it was not.

        Raises:
            UserError: If it cannot be made, or something else has its name.
        """
        folder = self.folder(row)
        with refusing("the frozen spec of a combination cannot be read", self.spec_file(row)):
            spec = self.spec_file(row).read_text("utf-8")
        if not folder.spec_file.is_file():
            try:
                return create_run(self.root, name=row.run, spec_yaml=spec, lock=None)
            except UserError:
                if not folder.spec_file.is_file():  # else somebody else made it just now
                    raise
        with refusing("the run cannot be read", folder.spec_file):
            if folder.spec_file.read_text("utf-8") != spec:
                cure = f"Delete it, or rename it: {shlex.quote(str(folder.path))}."
                raise UserError("another run has the name of this combination's.", where=folder.id, cure=cure)
        return folder


# ------------------------------------------------------------------------------------------- made
def create_sweep(  # noqa: PLR0913 - what stands in its files
    root: Path,
    sweep: Sweep,
    specs: Sequence[str],
    *,
    words: Sequence[str],
    name: str = "",
    evaluate: Sequence[str] | None = None,
) -> SweepFolder:
    """Write an ablation down; its runs are not made yet.

    Args:
        root: Where runs are.
        sweep: What it is of; checked.
        specs: The resolved spec of each combination that is not pruned, as YAML, in order.
        words: What was typed.
        name: What it is called behind its time; by default the ablation's or the source's name.
        evaluate: As in `SweepFolder`.

    Raises:
        UserError: If it cannot be written there; nothing is left behind.
    """
    slug = run_name(name or sweep.preset or Path(sweep.source or "defaults").stem)
    place = root / SWEEPS
    with refusing("a sweep cannot be made here", place, elsewhere=IN_RUNS):
        place.mkdir(parents=True, exist_ok=True)
        built = temporary(place / f".{slug}")
        try:
            (built / "specs").mkdir(parents=True)
            while (final := place / f"{datetime.now():%Y%m%d-%H%M%S}-{slug}").exists():
                time.sleep(_POLL)  # until the next second: a run of the one never looks like one of the other
            made = SweepFolder(
                final,
                tuple(words),
                {factor.path: factor.values for factor in sweep.grid.factors},
                _rows(sweep, final.name),
                None if evaluate is None else tuple(evaluate),
            )
            inside = SweepFolder(built, made.words, made.factors, made.rows)
            for row, spec in zip(made.good, specs, strict=True):
                replace_text(inside.spec_file(row), spec)
            replace_text(built / _FILE, json_text(_facts(made)))
            os.rename(built, final)
        except BaseException:
            remove(built)
            raise
        sync(place)
    return made


def _rows(sweep: Sweep, id: str) -> tuple[Row, ...]:
    width, rows = len(str(sweep.grid.count)), list[Row]()
    for number, one in enumerate(sweep.combinations, 1):
        name = ", ".join(sweep.grid.described(one.values))
        run = f"{id}-{number:0{width}}-{run_name(name)}" if one.ok else ""
        rows.append(Row(number, one.values, name, one.words, run, one.problems))
    return tuple(rows)


def _facts(sweep: SweepFolder) -> dict[str, Any]:
    rows = []
    for row in sweep.rows:
        pruned = [{name: getattr(problem, name) for name in _PROBLEM} for problem in row.problems]
        fate: dict[str, Any] = {"run": row.run} if row.run else {"pruned": pruned}
        rows.append({"values": row.values, "name": row.name, "words": row.words, **fate})
    facts: dict[str, Any] = {"sweep": _VERSION, "words": sweep.words, "factors": dict(sweep.factors)}
    return facts | {"evaluate": sweep.evaluate, "t": round(time.time(), 3), "rows": rows}


# ------------------------------------------------------------------------------------------- found
def list_sweeps(root: Path) -> tuple[Path, ...]:
    """The folder of every ablation in a folder of runs, oldest first.

    Raises:
        UserError: If the folder cannot be read; one that does not exist holds none.
    """
    place = root / SWEEPS
    with refusing("the sweeps cannot be listed", place):
        if not place.exists():
            return ()
        return tuple(sorted(path for path in place.iterdir() if (path / _FILE).is_file() and path.name[0] != "."))


def find_sweep(text: str, root: Path) -> SweepFolder:
    """The ablation that is meant: its id, a unique beginning of it, its name, ``latest``, or a path.

    Raises:
        UserError: If there is none, or several, with their names.
    """
    if os.sep in text:
        path = Path(text).expanduser().absolute()
        if not (path / _FILE).is_file():
            raise UserError("this is no sweep: it holds no sweep.json.", where=text, cure="Give the folder of one.")
        return read_sweep(path)
    found = {path.name: path for path in list_sweeps(root)}
    if not found:
        cure = "Begin one: pgsynth sweep SPEC key=v1,v2; or say where they are: --runs FOLDER."
        raise UserError(f"there is no sweep {text!r}: there are none here.", where=str(root / SWEEPS), cure=cure)
    if text == LATEST:
        return read_sweep([*found.values()][-1])
    named = [name for name in found if text and (name == text or name.split("-", 2)[-1] == text)]
    hits = named or [name for name in found if text and name.startswith(text)]
    if len(hits) > 1:
        cure = f"Write one of: {', '.join(hits[-_MOST_NAMED:])}."
        raise UserError(f"{text!r} names {len(hits)} sweeps.", where=str(root / SWEEPS), cure=cure)
    if not hits:
        names = [*found][-_MOST_NAMED:]
        cure = suggestion(text, [*reversed(names), LATEST], what="sweeps")
        raise UserError(f"there is no sweep {text!r}.", where=str(root / SWEEPS), cure=cure)
    return read_sweep(found[hits[0]])


def read_sweep(path: Path) -> SweepFolder:
    """Read an ablation.

    Raises:
        UserError: If its file is damaged, or of a newer pgsynth.
    """
    file = path / _FILE
    facts = read_json(file)
    if facts is None:
        raise UserError("the file of the sweep cannot be read.", where=str(file), cure="Begin the sweep again.")
    if facts.get("sweep") != _VERSION:
        raise UserError(f"sweep = {facts.get('sweep')!r}; this pgsynth reads version {_VERSION}.", where=str(file))
    try:
        rows = tuple(_row(number, row) for number, row in enumerate(facts["rows"], 1))
        factors = {str(name): tuple(map(str, values)) for name, values in facts["factors"].items()}
        evaluate = facts["evaluate"]
        asked = None if evaluate is None else tuple(map(str, evaluate))
        return SweepFolder(path, tuple(map(str, facts["words"])), factors, rows, asked)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"the file of the sweep is damaged: {error!r}."
        raise UserError(message, where=str(file), cure="Begin the sweep again.") from error


def _row(number: int, facts: Any) -> Row:
    run = str(facts.get("run", ""))
    if run and (Path(run).name != run or run.startswith(".")):
        raise ValueError(f"{run!r} is no name of a run")
    problems = tuple(Problem(*(str(one.get(name, "")) for name in _PROBLEM)) for one in facts.get("pruned", ()))
    words = tuple(map(str, facts["words"]))
    return Row(number, tuple(map(str, facts["values"])), str(facts["name"]), words, run, problems)
