"""Hooks are imported late and called behind a guard: one that fails is switched off, the others and the run go on."""

from __future__ import annotations

import gc
import logging
import sys
import weakref
from collections.abc import Callable
from dataclasses import replace
from textwrap import dedent

import pytest

from pgsynth_core.hooks import Disabled, Lifecycle, lifecycle_of
from pgsynth_core.manifest import parse_manifest
from pgsynth_core.registry import Origin, Registry, registry_of

from ..fixtures.fake_packages import FakePackages

HEAD = "from pgsynth_core.events import hookimpl\nseen = []\n"
STEP = {"run": "runs/a", "step": 3, "values": {"loss": 0.5}}
Watching = Callable[..., Registry]


@pytest.fixture
def watching(fake_packages: FakePackages) -> Watching:
    """A registry of packages, each with one hook: name -> body of its `watch.py`, which must define `Watch`."""

    def registry(implements: tuple[str, ...] = ("after_step",), **bodies: str) -> Registry:
        manifests = []
        for name, body in bodies.items():
            listed = ", ".join(f'"{hook}"' for hook in implements)
            hook = f'[[hook]]\ntarget = "pgsynth_{name}.watch:Watch"\nimplements = [{listed}]'
            text = fake_packages.manifest(f"pgsynth-{name}", hook)
            folder = fake_packages.install(f"pgsynth-{name}", manifest=text, files={"watch.py": HEAD + dedent(body)})
            origin = Origin(f"pgsynth-{name}", "1.0", folder / "pgsynth.toml", "", first_party=False)
            manifests.append((parse_manifest(text, where=name), origin))
        return registry_of(*manifests)

    return registry


GOOD = """
class Watch:
    @hookimpl
    def after_step(self, step, values):
        seen.append((step, dict(values)))
"""


def seen(name: str) -> list[object]:
    """What the package's hook was told; nothing if it was never imported."""
    module = sys.modules.get(f"pgsynth_{name}.watch")
    return list(module.seen) if module else []


def only_disabled(lifecycle: Lifecycle) -> Disabled:
    """The one hook that was switched off."""
    (disabled,) = lifecycle.disabled
    return disabled


# ------------------------------------------------------------------------------------------- what works
def test_a_hook_is_told_with_the_arguments_it_takes(watching: Watching) -> None:
    lifecycle = Lifecycle(watching(a=GOOD))
    lifecycle.call("after_step", **STEP)
    lifecycle.call("after_step", **STEP | {"step": 4})
    assert seen("a") == [(3, {"loss": 0.5}), (4, {"loss": 0.5})]
    assert lifecycle.disabled == ()


def test_an_object_serves_as_well_as_a_class(watching: Watching) -> None:
    Lifecycle(watching(a=GOOD + "Watch = Watch()")).call("after_step", **STEP)
    assert len(seen("a")) == 1


def test_nothing_is_imported_before_its_hook_is_called(watching: Watching) -> None:
    lifecycle = Lifecycle(watching(a=GOOD + "import time; time.sleep(0.01)"))
    lifecycle.call("before_step", run="runs/a", step=1)
    assert "pgsynth_a.watch" not in sys.modules and "pgsynth_a" not in sys.modules
    lifecycle.call("after_step", **STEP)
    assert "pgsynth_a.watch" in sys.modules


def test_each_hook_gets_its_own_copy(watching: Watching) -> None:
    spoiling = GOOD + "\n    @hookimpl\n    def composed(self, spec): spec['train'].clear(); seen.append(spec)"
    lifecycle = Lifecycle(watching(("after_step", "composed"), a=spoiling, b=spoiling))
    spec = {"train": {"steps": 10}}
    lifecycle.call("composed", spec=spec, verdict={})
    assert spec == {"train": {"steps": 10}}
    assert seen("a") == seen("b") == [{"train": {}}]


def test_they_are_told_in_the_order_of_the_registry(watching: Watching) -> None:
    noting = "import sys\nclass Watch:\n    @hookimpl\n    def {hook}(self): sys.modules['order'].append('{name}')\n"
    both = noting.format(hook="after_step", name="a") + noting.format(hook="composed", name="a").split("\n", 2)[2]
    late = watching(("after_step", "composed"), a=both)
    early = watching(("composed",), b=noting.format(hook="composed", name="b"))
    first = watching(("after_step",), c=noting.format(hook="after_step", name="c"))
    lifecycle = Lifecycle(replace(late, hooks=(*first.hooks, *late.hooks, *early.hooks)))
    told: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "order", told)  # type: ignore[arg-type]
        lifecycle.call("composed", spec={}, verdict={})
        lifecycle.call("after_step", **STEP)
    assert told == ["a", "b", "c", "a"], "a is loaded before c, and told after it"


def test_a_registry_has_one_lifecycle_for_as_long_as_it_lives(watching: Watching) -> None:
    registry, other = watching(a=GOOD), watching(b=GOOD)
    lifecycle = lifecycle_of(registry)
    assert lifecycle_of(registry) is lifecycle and lifecycle_of(other) is not lifecycle
    kept = weakref.ref(lifecycle)
    del registry, lifecycle
    gc.collect()
    assert kept() is None


# ------------------------------------------------------------------------------------------- what fails
RAISING = "class Watch:\n    @hookimpl\n    def after_step(self): seen.append('told'); {failure}\n"


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(1)", "SystemExit: 1"),
        ("raise type('PanicException', (BaseException,), {})('at lib.rs')", "PanicException: at lib.rs"),
    ],
    ids=["raises", "exits", "panics"],
)
def test_a_hook_that_raises_is_switched_off_and_the_others_run(
    watching: Watching, caplog: pytest.LogCaptureFixture, failure: str, reason: str
) -> None:
    lifecycle = Lifecycle(watching(a=GOOD, b=RAISING.format(failure=failure), c=GOOD))
    with caplog.at_level(logging.WARNING, logger="pgsynth"):
        lifecycle.call("after_step", **STEP)
        lifecycle.call("after_step", **STEP)
    assert len(seen("a")) == len(seen("c")) == 2
    assert seen("b") == ["told"]
    disabled = only_disabled(lifecycle)
    assert (disabled.package, disabled.version, disabled.hook) == ("pgsynth-b", "1.0", "after_step")
    assert reason in disabled.problem.message
    assert disabled.problem.cure == "Mend it if it is yours, or remove it: pgsynth plugins uninstall pgsynth-b."
    assert [record.getMessage() for record in caplog.records] == [str(disabled.problem)]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            "class Watch:\n    @hookimpl\n    def aftr_step(self): ...",
            "no hook 'aftr_step'. Did you mean 'after_step'?",
        ),
        ("class Watch:\n    @hookimpl\n    def after_step(self, stepp): ...", "{'stepp'}"),
        (
            "class Watch:\n    @hookimpl\n    def composed(self): ...",
            "it implements ['composed'], but its manifest says",
        ),
        ("class Watch:\n    def after_step(self): ...", "it implements [], but its manifest says ['after_step']"),
        ("class Watch:\n    def __init__(self, folder): ...", "missing 1 required positional argument: 'folder'"),
        ("class Watched: ...", "has no 'Watch'. Did you mean 'Watched'?"),
        ("import absent", "ModuleNotFoundError: No module named 'absent'"),
        ("raise SystemExit(2)", "SystemExit: 2"),
        ("raise type('PanicException', (BaseException,), {})('at lib.rs')", "PanicException: at lib.rs"),
    ],
    ids=["misspelled", "argument", "other", "unmarked", "init", "attribute", "import", "exits", "panics"],
)
def test_a_hook_that_does_not_fit_is_switched_off_before_it_is_told(watching: Watching, body: str, words: str) -> None:
    lifecycle = Lifecycle(watching(a=body, b=GOOD))
    lifecycle.call("after_step", **STEP)
    lifecycle.call("after_step", **STEP)
    assert words in only_disabled(lifecycle).problem.message
    assert "pgsynth_a.watch:Watch of pgsynth-a 1.0 is switched off" in only_disabled(lifecycle).problem.message
    assert len(seen("b")) == 2


def test_the_message_reads_as_sentences(watching: Watching) -> None:
    lifecycle = Lifecycle(watching(a="raise RuntimeError('boom')"))
    lifecycle.call("after_step", **STEP)
    assert str(only_disabled(lifecycle).problem) == (
        "the hook pgsynth_a.watch:Watch of pgsynth-a 1.0 is switched off: the hook cannot be imported: "
        "RuntimeError: boom (watch.py:3). Mend it if it is yours, or remove it: pgsynth plugins uninstall pgsynth-a."
    )


def test_the_arguments_a_hook_may_take_are_listed(watching: Watching) -> None:
    lifecycle = Lifecycle(watching(a="class Watch:\n    @hookimpl\n    def after_step(self, stepp): ..."))
    lifecycle.call("after_step", **STEP)
    assert "after_step(run, step, values)" in only_disabled(lifecycle).problem.message


def test_a_manifest_that_names_no_hook_of_ours_is_told_at_once(watching: Watching) -> None:
    lifecycle = Lifecycle(watching(("after_stp",), a=GOOD))
    assert "there is no hook 'after_stp'. Did you mean 'after_step'?" in only_disabled(lifecycle).problem.message
    assert "pgsynth_a" not in sys.modules


def test_the_users_interrupt_passes(watching: Watching) -> None:
    lifecycle = Lifecycle(watching(a=RAISING.format(failure="raise KeyboardInterrupt")))
    with pytest.raises(KeyboardInterrupt):
        lifecycle.call("after_step", **STEP)


@pytest.mark.parametrize(("hook", "arguments"), [("after_stp", {}), ("after_step", {"step": 1})])
def test_a_wrong_call_of_ours_is_an_error(watching: Watching, hook: str, arguments: dict[str, object]) -> None:
    with pytest.raises(TypeError, match="hook"):
        Lifecycle(watching(a=GOOD)).call(hook, **arguments)
    assert seen("a") == []
