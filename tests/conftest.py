"""What every test stands on: no network, no two copies of one module, no compiling under the shape-checking hook."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FunctionType
from typing import Any, get_args

import pytest
from beartype import BeartypeConf, beartype
from jaxtyping import AbstractArray, TypeCheckError, _decorator

# Before anything imports torch or a hub client: weights never come over the network, and workers share the cores.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# A worker holds over a million objects, and Python would walk all of them again after every few tests, a quarter of the
# time that tests of the terminal UI take. Whoever asserts that something is gone collects it first.
gc.set_threshold(10_000, 20, 5)


# ------------------------------------------------------------------------------------------- shapes
_AS_JAXTYPING = beartype(conf=BeartypeConf(violation_type=TypeCheckError))
"""Says what is wrong by the error that jaxtyping says it by."""


def check_shapes_where_there_are_any() -> None:
    """Let jaxtyping leave functions that name no shape to beartype alone; before what is checked is imported.

    The hook wraps every function of a package, and its wrapper binds arguments and keeps axes in mind for a function
    that has none, too: an eighth of what training takes in tests. What is said of arguments and results is the same.
    """
    whole = _decorator.jaxtyped

    def jaxtyped(fn: Any, *, typechecker: Callable[[Any], Any] | None) -> Any:
        if typechecker is None or not isinstance(fn, FunctionType):
            return whole(fn, typechecker=typechecker)
        written = fn.__annotations__
        evaluated = {name: _decorator._destring_annotation(one, fn.__globals__) for name, one in written.items()}
        if any(map(_names_a_shape, evaluated.values())):
            return whole(fn, typechecker=typechecker)
        fn.__annotations__ = evaluated
        checked = _AS_JAXTYPING(fn)
        fn.__annotations__ = checked.__annotations__ = written
        return checked

    _decorator.jaxtyped = jaxtyped


def _names_a_shape(annotation: Any) -> bool:
    if isinstance(annotation, list | tuple):  # the arguments of a Callable
        return any(map(_names_a_shape, annotation))
    kind = annotation if isinstance(annotation, type) else type(annotation)
    shaped = kind.__module__.startswith("jaxtyping") or issubclass(kind, AbstractArray)
    return shaped or any(map(_names_a_shape, get_args(annotation)))


check_shapes_where_there_are_any()


# ------------------------------------------------------------------------------------------- all tests
SOURCE_ROOTS = ("plugins", "tui")
collect_ignore = ["fixtures"]  # packages of third parties, too, whose own tests are theirs


def doubly_imported(modules: Iterable[str]) -> list[str]:
    """Modules that were imported through the folder of their source root, as second copies of themselves."""
    return sorted(name for name in modules if name.split(".")[0] in SOURCE_ROOTS)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--regenerate`: stored expectations are written anew; read the difference before committing it."""
    parser.addoption("--regenerate", action="store_true", help="write stored expectations anew (golden files, lists)")


@pytest.fixture(scope="session")
def regenerate(request: pytest.FixtureRequest) -> bool:
    """Whether stored expectations are to be written anew instead of compared."""
    return bool(request.config.getoption("--regenerate"))


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout's root."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def _nobodys_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What whoever runs the tests has switched off or installed for themselves is not looked at, and not touched."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PGSYNTH_CONFIG", str(tmp_path_factory.mktemp("config")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_module_twice() -> Iterator[None]:
    """In an editable install `plugins.pgsynth_plugins.x` imports too, and its classes are not those of the package."""
    yield
    assert not (twice := doubly_imported(sys.modules)), f"imported through a source root's folder: {twice}"


@pytest.fixture(scope="session", autouse=True)
def _signals_are_heard() -> Iterator[None]:
    """What tests start inherits what is ignored: Ctrl-C where a script began them with `&`, a hangup under nohup."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGHUP)}
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if before[number] is signal.SIG_IGN:
            signal.signal(number, handler)
    yield
    for number, was in before.items():
        signal.signal(number, was)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse to compile under the hook, and say why where compiling is not to be had."""
    compiled = [item for item in items if item.get_closest_marker("compiled")]
    if compiled and config.getoption("jaxtyping_packages"):
        raise pytest.UsageError(
            f"{compiled[0].nodeid} runs without the shape-checking hook, which breaks fullgraph: "
            "make test-compiled, or pytest -o addopts=--import-mode=importlib -m compiled"
        )
    if not shutil.which(compiler := os.environ.get("CXX", "g++")):
        for item in compiled:
            item.add_marker(pytest.mark.skip(reason=f"torch.compile needs a C++ compiler and there is no {compiler}"))
