"""Whatever a part's module does when it is imported, the user learns who, why and what to do."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pgsynth_core.errors import PartError, Problem
from pgsynth_core.options import PartConfig
from pgsynth_core.registry import (
    PATIENCE_VARIABLE,
    Entry,
    Origin,
    discover,
    load_config,
    load_part,
    load_target,
    patience,
)

from ...fixtures.fake_packages import FakePackages

OwnManifest = Callable[..., Path]
FOREIGN = Origin("pgsynth-plugin-x", "1.0", Path("pgsynth.toml"), "", first_party=False)
OWN = Origin("pgsynth", "0.1", Path("registry.toml"), "", first_party=True)


@pytest.fixture
def entry_of(own_manifest: OwnManifest, fake_packages: FakePackages) -> Callable[..., Entry]:
    """The encoder `x` of an installed package with this `parts.py`."""

    def entry(parts: str | None = None, more: str = "") -> Entry:
        part = fake_packages.part("encoder", "x", more=more)
        manifest = fake_packages.manifest("pgsynth-plugin-x", part)
        fake_packages.install(manifest=manifest, files={} if parts is None else {"parts.py": parts})
        return discover().find("encoder", "x")

    return entry


def problem_of(refused: pytest.ExceptionInfo[PartError]) -> Problem:
    """The one problem of an error."""
    (problem,) = refused.value.problems
    return problem


def test_a_part_and_its_options_are_loaded(entry_of: Callable[..., Entry]) -> None:
    entry = entry_of()
    assert load_part(entry).__name__ == "Part"
    config = load_config(entry)
    assert issubclass(config, PartConfig)
    assert config().model_dump() == {"width": 8}


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero (parts.py:1)"),
        ("def far():\n    import json\n    json.loads('{')\nfar()", "JSONDecodeError: Expecting property name"),
        ("def far():\n    import json\n    json.loads('{')\nfar()", "(parts.py:3)"),
        ("import absent_library", "ModuleNotFoundError: No module named 'absent_library' (parts.py:1)"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise type('PanicException', (BaseException,), {})('at lib.rs')", "PanicException: at lib.rs"),
        ("raise ValueError('two\\nlines')", "ValueError: two lines"),
        ("def broken(:", "SyntaxError: invalid syntax (parts.py:1)"),
        ("class Bad(Exception):\n    def __str__(self): return 1 / 0\nraise Bad()", "Bad: <exception str() failed>"),
        ("def __getattr__(name): raise OSError('lazy')", "OSError: lazy"),
    ],
    ids=["raises", "deep", "place", "import", "exits", "panics", "lines", "syntax", "unprintable", "lazy"],
)
def test_a_module_that_fails_is_named_with_reason_and_cure(
    entry_of: Callable[..., Entry], parts: str, reason: str
) -> None:
    entry = entry_of(parts)
    with pytest.raises(PartError) as refused:
        load_part(entry)
    problem = problem_of(refused)
    assert problem.message.startswith("encoder x of pgsynth-plugin-x 1.0 cannot be imported: ")
    assert reason in problem.message and "\n" not in problem.message
    assert problem.where == "pgsynth_plugin_x.parts:Part"
    assert problem.cure == "Mend it if it is yours, or remove it: pgsynth plugins uninstall pgsynth-plugin-x."
    assert refused.value.__cause__ is not None


def test_a_module_that_is_not_there_is_named_with_the_manifest(entry_of: Callable[..., Entry]) -> None:
    entry = entry_of()
    (entry.origin.manifest_path.parent / "parts.py").unlink()
    with pytest.raises(PartError) as refused:
        load_part(entry)
    assert problem_of(refused).cure.startswith(f"Its manifest names that module: {entry.origin.manifest_path}. Mend it")


def test_the_users_interrupt_passes(entry_of: Callable[..., Entry]) -> None:
    entry = entry_of("raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load_part(entry)


def test_a_missing_attribute_gets_the_nearest(entry_of: Callable[..., Entry]) -> None:
    entry = entry_of("class Parts: pass")
    with pytest.raises(PartError, match="the module pgsynth_plugin_x.parts has no 'Part'. Did you mean 'Parts'?"):
        load_part(entry)


def test_a_part_that_is_no_class_and_options_that_are_no_config_are_refused(entry_of: Callable[..., Entry]) -> None:
    entry = entry_of("Part = 3\nclass Config: pass")
    with pytest.raises(PartError, match="pgsynth_plugin_x.parts:Part is 3, not a class"):
        load_part(entry)
    with pytest.raises(PartError, match="not a subclass of pgsynth_core.options.PartConfig"):
        load_config(entry)


@pytest.mark.parametrize(
    ("origin", "extra", "module", "cure"),
    [
        (OWN, "clip", "import open_clip_absent", 'pip install "pgsynth[clip]"'),
        (FOREIGN, "fast", "import absent.deep", 'pip install "pgsynth-plugin-x[fast]"'),
        (FOREIGN, "", "import absent", "pgsynth plugins uninstall pgsynth-plugin-x"),
        (OWN, "", "import absent", "pgsynth doctor"),
        (OWN, "clip", "import pgsynth_plugin_x.absent", "pgsynth doctor"),
        (OWN, "clip", "raise ValueError", "pgsynth doctor"),
    ],
    ids=["own-extra", "foreign-extra", "foreign", "own", "own-module", "other-error"],
)
def test_the_cure_depends_on_what_is_missing(
    fake_packages: FakePackages, origin: Origin, extra: str, module: str, cure: str
) -> None:
    fake_packages.install(files={"heavy.py": module})
    with pytest.raises(PartError) as refused:
        load_target(origin, "pgsynth_plugin_x.heavy:Part", extra=extra)
    assert cure in problem_of(refused).cure


# ------------------------------------------------------------------------------------------- imports that do not end
ENDLESS = {
    "sleeps": "import time\nwhile True:\n    time.sleep(0.01)\n",
    "works": "while True:\n    pass\n",
    "catches": "import time\nwhile True:\n    try:\n        time.sleep(0.01)\n    except Exception:\n        pass\n",
}


@pytest.mark.parametrize("text", ENDLESS.values(), ids=ENDLESS)
def test_an_import_that_does_not_end_is_given_up(
    fake_packages: FakePackages, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv(PATIENCE_VARIABLE, "0.5")
    fake_packages.install(files={"parts.py": text})
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(PartError, match="not done after 0.5 seconds") as caught:
        load_config(discover().find("encoder", "x"))
    assert "pgsynth plugins uninstall pgsynth-plugin-x" in caught.value.problems[0].cure
    assert PATIENCE_VARIABLE in caught.value.problems[0].cure
    assert signal.getsignal(signal.SIGALRM) == before and signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


@pytest.mark.parametrize("given", ["inf", "1e30", "9300000000", "nan"])
def test_a_package_is_not_blamed_for_a_limit_that_no_clock_takes(
    fake_packages: FakePackages, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv(PATIENCE_VARIABLE, given)
    fake_packages.install()
    assert load_config(discover().find("encoder", "x")).__name__ == "Config"
    assert patience() == (120.0 if given == "nan" else 86_400.0)


@pytest.mark.parametrize(("given", "seconds"), [(None, 120.0), ("7", 7.0), ("0", 0.0), ("-1", 120.0), ("soon", 120.0)])
def test_how_long_is_waited(monkeypatch: pytest.MonkeyPatch, given: str | None, seconds: float) -> None:
    monkeypatch.delenv(PATIENCE_VARIABLE, raising=False)
    if given is not None:
        monkeypatch.setenv(PATIENCE_VARIABLE, given)
    assert patience() == seconds


def test_another_thread_imports_without_an_alarm(fake_packages: FakePackages) -> None:
    fake_packages.install()
    entry, found = discover().find("encoder", "x"), []
    thread = threading.Thread(target=lambda: found.append(load_config(entry)))
    thread.start()
    thread.join(30)
    assert found and found[0].__name__ == "Config"
