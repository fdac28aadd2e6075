"""The conformance kit: which checks there are for each kind of part, and `check_part`, which runs them over one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from pgsynth_core.errors import PgsynthError
from pgsynth_core.manifest import Kind
from pgsynth_core.registry import FOREIGN_FAULTS, Registry, discover, reason_of
from pgsynth_core.testing.annotators import (
    a_photo_alone_has_the_same_labels,
    a_photo_alone_has_the_same_poses,
    annotator_says_what_it_is,
    label_maps_have_the_documented_form,
    photos_stay_as_they_are,
    poses_have_the_documented_form,
)
from pgsynth_core.testing.behaviour import (
    a_sample_alone_is_the_same,
    compiled_equals_eager,
    computes_in_float64,
    contract_holds_at_another_size,
    contract_is_honest,
    features_are_of_one_source,
    gradients_are_finite,
    ports_hold_values,
    prepared_is_the_same,
    same_inputs_same_output,
    trains_in_bfloat16,
)
from pgsynth_core.testing.datasets import (
    blocks_add_up,
    contract_fits,
    goes_to_workers,
    names_are_unique,
    no_pair_beyond_the_end,
    pairs_are_always_the_same,
    pairs_have_the_documented_form,
    people_are_those_of_the_pairs,
    recognises_no_other_folder,
)
from pgsynth_core.testing.declaration import (
    config_can_be_imported,
    config_imports_no_torch,
    config_is_quick,
    config_leaves_no_trace,
    config_refuses_the_unknown,
    implements_its_kind,
    manifest_is_coherent,
    options_equal_config,
    options_go_round,
)
from pgsynth_core.testing.metrics import (
    any_batch_is_the_same,
    any_size_is_taken,
    asked_again_it_says_the_same,
    asks_in_the_order_of_the_contract,
    other_values_have_another_id,
    pictures_stay_as_they_are,
    says_what_it_is,
    the_same_is_best,
    threads_do_not_meet,
    too_small_ends_nothing,
    values_are_finite,
)
from pgsynth_core.testing.report import Outcome, Report
from pgsynth_core.testing.state import (
    detaches_clean,
    dropped_is_always_the_same,
    dropped_is_what_the_manifest_says,
    keeps_nothing_of_a_call,
    keeps_to_itself,
    leaves_torch_as_it_was,
    saves_and_loads,
)
from pgsynth_core.testing.subject import Check, Skip, Subject

__all__ = ["ANNOTATOR_CHECKS", "CHECKS", "DATASET_CHECKS", "METRIC_CHECKS", "check_part", "checks_of", "outcomes"]

_DECLARED: Final[tuple[Check, ...]] = (
    config_can_be_imported,
    config_imports_no_torch,
    config_is_quick,
    config_leaves_no_trace,
    options_equal_config,
    config_refuses_the_unknown,
    options_go_round,
    manifest_is_coherent,
    implements_its_kind,
)

CHECKS: Final[tuple[Check, ...]] = (
    *_DECLARED,
    contract_is_honest,
    contract_holds_at_another_size,
    detaches_clean,
    ports_hold_values,
    gradients_are_finite,
    trains_in_bfloat16,
    computes_in_float64,
    same_inputs_same_output,
    keeps_nothing_of_a_call,
    a_sample_alone_is_the_same,
    prepared_is_the_same,
    features_are_of_one_source,
    dropped_is_what_the_manifest_says,
    dropped_is_always_the_same,
    saves_and_loads,
    compiled_equals_eager,
    keeps_to_itself,
    leaves_torch_as_it_was,
)
"""Every check of a part that computes (base, encoder, pose, attention), in order: the cheap ones first."""

DATASET_CHECKS: Final[tuple[Check, ...]] = (
    *_DECLARED,
    contract_fits,
    pairs_have_the_documented_form,
    names_are_unique,
    pairs_are_always_the_same,
    no_pair_beyond_the_end,
    goes_to_workers,
    blocks_add_up,
    people_are_those_of_the_pairs,
    recognises_no_other_folder,
    keeps_to_itself,
    leaves_torch_as_it_was,
)
"""Every check of a dataset."""

METRIC_CHECKS: Final[tuple[Check, ...]] = (
    *_DECLARED,
    asks_in_the_order_of_the_contract,
    says_what_it_is,
    the_same_is_best,
    values_are_finite,
    any_size_is_taken,
    too_small_ends_nothing,
    any_batch_is_the_same,
    asked_again_it_says_the_same,
    pictures_stay_as_they_are,
    threads_do_not_meet,
    other_values_have_another_id,
    keeps_to_itself,
    leaves_torch_as_it_was,
)
"""Every check of a metric."""

ANNOTATOR_CHECKS: Final[tuple[Check, ...]] = (
    *_DECLARED,
    annotator_says_what_it_is,
    poses_have_the_documented_form,
    label_maps_have_the_documented_form,
    a_photo_alone_has_the_same_poses,
    a_photo_alone_has_the_same_labels,
    photos_stay_as_they_are,
    leaves_torch_as_it_was,
)
"""Every check of an annotator."""

_OF_KIND: Final[Mapping[Kind, tuple[Check, ...]]] = {
    "annotator": ANNOTATOR_CHECKS,
    "dataset": DATASET_CHECKS,
    "metric": METRIC_CHECKS,
}

_GATES: Final = frozenset({config_can_be_imported.__name__, implements_its_kind.__name__})
"""Where one of these fails, nothing after it can run."""

_UNWATCHED: Final = frozenset(
    {config_can_be_imported, config_imports_no_torch, config_is_quick, config_leaves_no_trace, compiled_equals_eager}
)
"""These start programs themselves: a Python of their own, and compilers."""


def checks_of(kind: Kind) -> tuple[Check, ...]:
    """The checks of a kind of part."""
    return _OF_KIND.get(kind, CHECKS)


def check_part(
    kind: Kind,
    name: str,
    *,
    options: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
    only: Sequence[Check] = (),
) -> Report:
    """Run the conformance kit over one part, in this process.

    What the part prints, or a crash of it, is this process's too: see `check_isolated`.

    Args:
        kind: Its kind.
        name: Plain or qualified name.
        options: Options to test it with; others stay at their defaults.
        registry: What exists; found anew if None.
        only: Checks to run; empty: all of its kind but `compiled_equals_eager`: it takes minutes and has to be named.

    Returns:
        Every check with its outcome. Nothing is raised for a part that fails; see `Report.raise_if_failed`.

    Raises:
        SpecError: If there is no such part.
    """
    registry = registry or discover()
    subject = Subject(registry.find(kind, name), registry, dict(options or {}), compiled_equals_eager in only)
    left_out = [check.__name__ for check in checks_of(kind) if only and check not in only]
    return Report(subject.entry.qualified, tuple(outcomes(subject, left_out)), kind=kind)


def outcomes(
    subject: Subject,
    done: Collection[str] = (),
    *,
    failed: str = "",
    begins: Callable[[str], None] = lambda name: None,
) -> Iterator[Outcome]:
    """Run the checks of a part one by one.

    Args:
        subject: The part.
        done: Names of checks to leave out.
        failed: The check that failed last before these; where nothing can run without it, they are skipped.
        begins: Told of each check that is run.
    """
    failed = failed if failed in _GATES else ""
    for check in checks_of(subject.entry.kind):
        if check.__name__ in done:
            continue
        if failed:
            yield Outcome(check.__name__, "skipped", f"{failed} failed")
        else:
            begins(check.__name__)
            outcome = _outcome(check, subject)
            failed = outcome.check if outcome.status == "failed" and outcome.check in _GATES else ""
            yield outcome


def _outcome(check: Check, subject: Subject) -> Outcome:
    try:
        if check in _UNWATCHED:
            check(subject)
        else:
            subject.guarded(check)
    except Skip as reason:
        return Outcome(check.__name__, "skipped", str(reason))
    except (PgsynthError, AssertionError) as error:
        return Outcome(check.__name__, "failed", str(error))
    except FOREIGN_FAULTS as error:
        return Outcome(check.__name__, "failed", reason_of(error, subject.entry.component.target))
    return Outcome(check.__name__, "passed")
