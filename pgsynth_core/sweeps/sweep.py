"""An ablation as it is written, ``SPEC key=v1,v2 ...``: read, multiplied out, and checked by the contract."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from pgsynth_core.contract import check, with_adapters
from pgsynth_core.errors import ContractError, Problem, SpecError, nearest
from pgsynth_core.registry import Registry
from pgsynth_core.shipped import SweepTable
from pgsynth_core.spec import Spec, is_path, resolve, split_sweep
from pgsynth_core.sweeps.grid import Factor, Grid, idle, in_order, path_in

__all__ = ["Combination", "Sweep", "sweep_of"]

ROW = "row"
"""What the factor is called whose values are rows of a table: a name each for several overrides."""


@dataclass(frozen=True)
class Combination:
    """One run of an ablation, or one that cannot be.

    Attributes:
        values: One of each factor, in their order.
        words: Every override behind the source, in the order in which they apply.
        problems: Why it is pruned; none if it can be trained.
        spec: What it comes to; None if it cannot even be read.
    """

    values: tuple[str, ...]
    words: tuple[str, ...]
    problems: tuple[Problem, ...]
    spec: Spec | None

    @property
    def ok(self) -> bool:
        """Whether it can be trained; else it is pruned."""
        return not self.problems


@dataclass(frozen=True)
class Sweep:
    """A base, what is fixed, what is varied.

    Attributes:
        source: A preset, a path, or None for the defaults alone.
        fixed: Overrides of every combination.
        grid: What is varied.
        registry: What is installed.
        adapt: Whether the adapters that the contract proposes are taken.
        preset: Name of the ablation, if it is one of a manifest.
    """

    source: str | None
    fixed: tuple[str, ...]
    grid: Grid
    registry: Registry
    adapt: bool = False
    preset: str = ""

    @cached_property
    def combinations(self) -> tuple[Combination, ...]:
        """Each combination, read and checked, in written order."""
        return tuple(self._checked(values, words) for values, words in self.grid.points())

    @property
    def mistyped(self) -> tuple[Problem, ...]:
        """Values with which nothing can even be read, in whatever combination."""
        return tuple(self._idle(read=True))

    @property
    def useless(self) -> tuple[Problem, ...]:
        """Values that the contract refuses in every combination."""
        return tuple(self._idle(read=False))

    def _idle(self, *, read: bool) -> Iterator[Problem]:
        """Of values that no combination can have those that can, or cannot, be read somewhere."""
        rows = self.combinations
        wrong = [(row.values, None if (row.spec if read else row.ok) else row.problems[0]) for row in rows]
        unread = {} if read else {(problem.where, problem.message) for problem in self.mistyped}
        alike: dict[tuple[str, str, str], list[str]] = {}
        for factor, value, why in idle(self.grid, wrong):
            alike.setdefault((factor.path, why.message, why.cure), []).append(value)
        for (path, message, cure), values in alike.items():
            problem = Problem(f"no combination can have {' or '.join(values)}: {message}", path, cure)
            if (problem.where, problem.message) not in unread:
                yield problem

    def _checked(self, values: tuple[str, ...], words: Sequence[str]) -> Combination:
        every = in_order([*self.fixed, *words])
        try:
            spec = resolve(self.source, every, self.registry).spec
        except SpecError as error:
            return Combination(values, every, tuple(map(_placed, error.problems)), None)
        verdict = check(spec, self.registry)
        if self.adapt and verdict.adapters:
            spec = with_adapters(spec, verdict.adapters)
            verdict = check(spec, self.registry)
        try:
            verdict.raise_if_refused()
        except ContractError as error:
            plain = (Problem(one.message, one.where, one.cure) for one in error.problems)
            return Combination(values, every, tuple(plain), spec)
        return Combination(values, every, (), spec)


def _placed(problem: Problem) -> Problem:
    """Without the number of an argument, which is not the number that the user counts."""
    number, _, word = problem.where.partition(": ")
    return replace(problem, where=word) if word and number.startswith("argument ") else problem


def sweep_of(
    words: Sequence[str], registry: Registry, *, source: str | None = None, on: str | None = None, adapt: bool = False
) -> Sweep:
    """Read what was typed.

    Args:
        words: ``path=value`` fixes, ``path=value,value`` varies; a comma within brackets or quotes separates nothing.
        registry: What is installed.
        source: A preset, a path, or the name of an ablation of a manifest, which brings words of its own: what is
            typed stands for what it says of the same path. None for the defaults.
        on: A preset or path in place of the one that such an ablation is of.
        adapt: Take the adapters that the contract proposes.

    Raises:
        SpecError: With everything that cannot be read, if nothing is varied, or there are too many combinations.
    """
    table = _table(source, registry)
    if on is not None and table is None:
        message = f"{source or 'nothing'} is no ablation of a manifest, which alone can be moved to another method."
        raise SpecError(message, where=f"--on {on}", cure="Write the method as the first word, and leave --on out.")
    fixed, varied, problems = list[str](), list[str](), list[Problem]()
    for word in words:
        path, equals, value = word.partition("=")
        if not equals:
            cure = "Write path=value, or path=value,value to vary it, e.g. attn.pma.mask=none,eq9."
            problems.append(Problem(f"{path!r} is no override.", "pgsynth sweep", cure))
            continue
        try:
            several = len(split_sweep(value, where=path_in(word))) > 1
        except SpecError as error:
            problems += error.problems
        else:
            (varied if several else fixed).append(word)
    given = {path_in(word) for word in words}
    rows = None
    if table:
        source = on or table.preset
        fixed = [*(word for word in table.fixed if path_in(word) not in given), *fixed]
        varied = [*(word for word in table.vary if path_in(word) not in given), *varied]
        named = {row.name: row.words for row in table.row}
        rows = Factor(ROW, tuple(named), named) if named else None
    grid = Grid.of(varied, rows)
    problems += [*grid.problems, *_contradicting(fixed, varied)]
    if not problems and not grid.factors:
        cure = (
            "Give an argument several values, e.g. attn.pma.mask=none,eq9; pgsynth sweep list --presets has whole ones."
        )
        problems.append(Problem("nothing is varied.", "pgsynth sweep", cure))
    if problems:
        raise SpecError(problems)
    if source is not None:
        resolve(source, [], registry)  # a wrong source is told once, not as a fault of every combination
    return Sweep(source, tuple(fixed), grid, registry, adapt, table.name if table else "")


def _table(source: str | None, registry: Registry) -> SweepTable | None:
    """The ablation of that name; None for a preset or a path."""
    if source is None or is_path(source):
        return None
    plain, names = source.rpartition(":")[2], [entry.name for entry in registry.sweeps]
    misspelt = plain not in {entry.name for entry in registry.presets} and nearest(plain, names)
    return registry.find_sweep(source).table if plain in names or misspelt else None


def _contradicting(fixed: Iterable[str], varied: Iterable[str]) -> Iterator[Problem]:
    paths = {path_in(word) for word in varied}
    for path in dict.fromkeys(path_in(word) for word in fixed if path_in(word) in paths):
        yield Problem(f"{path} is fixed and varied.", path, "Write it once.")
