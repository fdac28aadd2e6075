"""A composition: a resolved spec whose parts fit. Torch-free until `proof` is called."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pgsynth_core.api.describe import Figures, Node, facts_of, tree_of
from pgsynth_core.api.libraries import missing_libraries
from pgsynth_core.api.noting import absent_files, foreign_size
from pgsynth_core.contract import Verdict
from pgsynth_core.errors import UserError
from pgsynth_core.registry import Registry
from pgsynth_core.runs import require_writable, runs_root
from pgsynth_core.runs.durable import IN_RUNS
from pgsynth_core.runs.folder import run_name
from pgsynth_core.spec import Resolved, Spec, explain, lock_of

if TYPE_CHECKING:
    from pgsynth_core.api.rehearsing import Rehearsal
    from pgsynth_core.api.run import Run
    from pgsynth_core.composition.proof import Proof
    from pgsynth_core.training.memory import TrainingMemory

OnEvent = Callable[[Mapping[str, Any]], None]
"""Told of what happens in a run: ``kind`` and plain data; see `pgsynth_core.runs`. Besides, of kind ``doing``: what is
done between two steps."""


@dataclass(frozen=True)
class Composition:
    """What `compose` gives.

    Attributes:
        resolved: The spec, where each value came from, warnings.
        verdict: The contract check's answer; it is ok.
        registry: What existed when it was composed.
    """

    resolved: Resolved
    verdict: Verdict
    registry: Registry

    def __repr__(self) -> str:
        spec = self.spec
        parts = " + ".join(choice.label for slot, choice in spec.choices() if slot not in ("base", "data"))
        data = ", ".join(choice.label for choice in spec.data) or "none"
        height, width = spec.size
        return f"<Composition: {parts or 'nothing'} on {spec.base.label}, {height}x{width}, data {data}>"

    @property
    def spec(self) -> Spec:
        """The fully resolved spec."""
        return self.resolved.spec

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was odd in the spec, or is otherwise here than when it was written, and refuses nothing."""
        return (*self.resolved.warnings, *map(str, self.resolved.differences))

    @property
    def notes(self) -> tuple[str, ...]:
        """What is worth knowing and refuses nothing: the contract check's, the size's, what is not here now."""
        return (
            *self.verdict.notes,
            *foreign_size(self.resolved, self.registry),
            *absent_files(self.spec, self.registry),
            *(f"{problem.message} {problem.cure}" for problem in missing_libraries(self.spec.train)),
        )

    def require_libraries(self) -> None:
        """See that what training asks for by its settings is installed; nothing is imported.

        Raises:
            UserError: With what to install.
        """
        if problems := tuple(missing_libraries(self.spec.train)):
            raise UserError(problems)

    @cached_property
    def _proof(self) -> Proof:
        module = importlib.import_module("pgsynth_core.composition.proof")
        proof: Proof = module.prove(self.spec, self.registry, self.verdict)
        return proof

    def proof(self) -> Proof:
        """Build it on the meta device and run it forward and backward, without weights; once, then remembered.

        Raises:
            ProofError: With every port and parameter that does not keep the contract.
            PartError: If a part cannot be imported or built.
        """
        return self._proof

    @cached_property
    def _memory(self) -> TrainingMemory:
        module = importlib.import_module("pgsynth_core.training.memory")
        memory: TrainingMemory = module.training_memory(self.spec, self.registry, self.verdict)
        return memory

    def memory(self) -> TrainingMemory:
        """What training it will hold, in bytes: a step taken by shape alone, without weights; once, then remembered.

        Raises:
            PartError: If a part cannot be imported or built.
        """
        return self._memory

    def train(
        self,
        *,
        runs: str | Path | None = None,
        steps: int | None = None,
        name: str | None = None,
        on_event: OnEvent | None = None,
    ) -> Run:
        """Train it; blocks until the last step, or until an interrupt has saved and stopped it.

        Args:
            runs: Where the run's folder is made; by default ``$PGSYNTH_RUNS``, else ``./runs``.
            steps: In place of the spec's.
            name: What the run is called behind its time, in place of its parts, as `run_name` of
                `pgsynth_core.runs.folder` writes it; the spec does not know it.
            on_event: Told of each step, checkpoint and sheet, as plain data.

        Raises:
            UserError: For everything the user can mend; nothing is left half-written.
        """
        composed = self if steps is None else with_steps(self, steps)
        slug = self.spec.slug if name is None else run_name(name)
        self.require_libraries()
        root = runs_root(None if runs is None else str(runs))
        require_writable(root, "no run can be made here", elsewhere=IN_RUNS)
        training = importlib.import_module("pgsynth_core.api.training")
        run: Run = training.start(composed, runs=root, slug=slug, on_event=on_event)
        return run

    def rehearse(self, *, runs: str | Path | None = None, on_event: OnEvent | None = None) -> Rehearsal:
        """Take a few real steps with the real data and weights, save, load again, compare; nothing stays behind.

        Args:
            runs: Where a run's folder would be made; by default ``$PGSYNTH_RUNS``, else ``./runs``.
            on_event: Told of each step, as plain data.

        Returns:
            Memory, pace, size of a checkpoint.

        Raises:
            UserError: For everything the user can mend.
            PgsynthError: If what is loaded does not give what was saved.
        """
        self.require_libraries()
        root = runs_root(None if runs is None else str(runs))
        require_writable(root, "no run can be made here", elsewhere=IN_RUNS)
        module = importlib.import_module("pgsynth_core.api.rehearsing")
        found: Rehearsal = module.rehearse(self.spec, self.registry, self.verdict, runs=root, on_event=on_event)
        return found

    def explain(self) -> tuple[tuple[str, Any, str], ...]:
        """(path, value, where it came from) of everything in the spec."""
        return explain(self.resolved)

    def tree(self, proof: Proof | None = None) -> Node:
        """The description as a tree of lines; with a proof, its figures and the memory of training too."""
        return tree_of(self.spec, self.verdict, self.registry, self._figures(proof))

    def describe(self) -> str:
        """The description as text, with the proof's figures."""
        return self.tree(self.proof()).text_block()

    def facts(self, proof: Proof | None = None) -> Mapping[str, Any]:
        """The description as plain data."""
        facts = facts_of(self.spec, self.verdict, self.registry, self._figures(proof))
        return facts | {"notes": list(self.notes)}

    def _figures(self, proof: Proof | None) -> Figures | None:
        return None if proof is None else Figures(proof, self.memory())

    def to_yaml(self) -> str:
        """The canonical spec with its lock; resolving it gives this composition again."""
        return self.spec.to_yaml(self.lock())

    def lock(self) -> dict[str, Any]:
        """What it is composed with: the packages that bring its parts, the contract, what the base binds."""
        return lock_of(self.spec, self.registry, self.verdict.axes)


def with_steps(composition: Composition, steps: int) -> Composition:
    """The composition with another number of training steps.

    Raises:
        UserError: If it is no whole number, or below 1.
    """
    if not isinstance(steps, Integral) or isinstance(steps, bool) or steps < 1:
        raise UserError(f"steps is {steps!r}; it is a whole number from 1 on.", cure="Give e.g. steps=2000.")
    spec = composition.spec
    spec = spec.model_copy(update={"train": spec.train.model_copy(update={"steps": int(steps)})})
    return replace(composition, resolved=replace(composition.resolved, spec=spec))
