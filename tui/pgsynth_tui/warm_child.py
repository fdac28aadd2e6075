"""The process that `warm` keeps: it has torch and the parts imported, and copies itself (fork) for each command.

What a command prints, changes, breaks or leaves behind goes with its copy, and a command that is given up takes nothing
of what was imported along. So this process does nothing but import: one that has computed has threads, which no copy
has. Packages of others are imported by the copies only, each time anew.

What it imported may have changed on disk since: with each request it looks whether what is installed (the metadata and
.pth files of every folder of Python's path) and every file it imported (time and size) are as they were, and ends if
they are not; `warm` starts the next.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import json
import os
import select
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import IO, Any, Final, NoReturn

from pgsynth_core.registry import discover, load_part

__all__ = ["main"]

_AHEAD: Final = (
    "pgsynth_core.cli.compose",
    "pgsynth_core.composition.proof",
    "pgsynth_core.training.memory",
    "pgsynth_core.training.objective",
)
_KINDS: Final = ("base", "encoder", "pose", "attention", "dataset")
"""What a proof imports; of parts, our own."""

_POLL: Final = 0.02
_GRACE: Final = 2.0
"""Seconds to end in order for a command that is given up."""
_MOST_PRINTED: Final = 16 * 2**20
"""Bytes; what prints without end would fill the disk."""
_MOST_TOLD: Final = 2**20
"""Bytes of what was printed besides the result, the last."""
_METADATA: Final = (".dist-info", ".egg-info", ".egg-link", ".pth")
_NO_CUDA: Final = "PYTORCH_NVML_BASED_CUDA_CHECK"
"""Whether there is a GPU is asked of its driver: CUDA itself, once it was asked, works in no copy."""
_DIE_WITH_PARENT: Final = 1
"""PR_SET_PDEATHSIG of Linux."""

Stamp = tuple[int, int]


class _Seen:
    """What was there when this process began: `changed`, if it is another now."""

    def __init__(self) -> None:
        self._installed = _installed()
        self._files: dict[str, Stamp | None] = {}

    def note(self) -> None:
        """Remember the files of everything imported so far."""
        found = {getattr(module, "__dict__", {}).get("__file__") for module in list(sys.modules.values())}
        for file in found:
            if isinstance(file, str) and os.path.isabs(file):
                self._files.setdefault(file, _stamp(file))

    def changed(self) -> bool:
        """Whether a fresh Python would be another."""
        return _installed() != self._installed or any(_stamp(file) != stamp for file, stamp in self._files.items())


def _installed() -> dict[str, int]:
    """Path of what says which packages there are and where, to its time."""
    found = {}
    for folder in sys.path:
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(_METADATA):
                    found[entry.path] = entry.stat().st_mtime_ns
    return found


def _stamp(file: str) -> Stamp | None:
    try:
        facts = os.stat(file)
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_size


class _Requests:
    """Lines of JSON from who started this."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.gone = False
        self._held = b""

    def next(self, seconds: float) -> dict[str, Any] | None:
        """The next one; None if there is none in time, or nobody there any more."""
        until = time.monotonic() + seconds
        while b"\n" not in self._held:
            if self.gone or not select.select([self.descriptor], [], [], max(0.0, until - time.monotonic()))[0]:
                return None
            piece = os.read(self.descriptor, 65536)
            self.gone = not piece
            self._held += piece
        line, _, self._held = self._held.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found


def main(words: list[str]) -> None:
    """Import, and run commands until nobody asks any more.

    Args:
        words: Descriptor of the pipe with requests, of the pipe for answers, seconds without a request after which
            this ends, and ``1`` to import ahead.
    """
    requests, answers, idle, ahead = _Requests(int(words[0])), int(words[1]), float(words[2]), words[3] == "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    seen = _Seen()
    os.environ[_NO_CUDA] = "1"
    if ahead:
        _import_ahead(requests)
    seen.note()
    gc.collect()
    gc.freeze()  # or the copies' collector would touch, and so copy, every page
    with suppress(BrokenPipeError):
        _tell(answers, ready=True)
        while request := requests.next(idle):
            if "words" not in request:  # to stop one that had ended by then
                continue
            if seen.changed():
                _tell(answers, stale=True)
                break
            _serve(request, requests, answers)


def _import_ahead(requests: _Requests) -> None:
    """Until who started this has gone; what cannot be imported is told by the command that needs it."""
    parts = [entry for entry in discover().entries if entry.origin.first_party and entry.kind in _KINDS]
    steps: list[Callable[[], object]] = [partial(importlib.import_module, name) for name in _AHEAD]
    steps += [partial(load_part, part) for part in parts]
    for step in steps:
        requests.next(0)  # nothing is asked before this process says that it is ready
        if requests.gone:
            return
        with suppress(Exception):
            step()


def _tell(answers: int, **facts: Any) -> None:
    line = memoryview(json.dumps(facts).encode() + b"\n")
    while line:
        line = line[os.write(answers, line) :]


# ------------------------------------------------------------------------------------------- one command
def _serve(request: Mapping[str, Any], requests: _Requests, answers: int) -> None:
    """Run a command in a copy of this process, and tell what it said and how it ended."""
    with tempfile.TemporaryFile() as result, tempfile.TemporaryFile() as printed:
        _tell(answers, began=0)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()  # or the copy would print it, too
        here = os.getpid()
        pid = os.fork()
        if not pid:
            _obey(request, result, printed, closing=(requests.descriptor, answers), parent=here)
        try:
            _tell(answers, began=pid)
            code, why = _end_of(pid, requests, result, printed)
        except BaseException:  # nobody is there to be told
            _signal(pid, signal.SIGKILL)
            raise
        _tell(answers, code=code, why=why, out=_text(result, _MOST_PRINTED), err=_text(printed, _MOST_TOLD))


def _end_of(pid: int, requests: _Requests, *printed: IO[bytes]) -> tuple[int, str]:
    """Wait for a command: its exit code, below 0 for a signal, and why it was ended, if it was."""
    why, until = "", 0.0
    while not (ended := os.waitpid(pid, os.WNOHANG))[0]:
        wish = requests.next(_POLL)
        if requests.gone:
            time.sleep(_POLL)
        if not why:
            flooded = any(os.fstat(file.fileno()).st_size > _MOST_PRINTED for file in printed)
            why = f"it printed more than {_MOST_PRINTED // 2**20} MiB." if flooded else ""
            why = "nobody waits for it any more." if wish or requests.gone else why
            if why:
                _signal(pid, signal.SIGINT)
                until = time.monotonic() + _GRACE
        elif time.monotonic() > until:
            _signal(pid, signal.SIGKILL)
    if why:
        _signal(pid, signal.SIGKILL)  # what it left behind
    return os.waitstatus_to_exitcode(ended[1]), why


def _signal(pid: int, number: int) -> None:
    """To a command and what it started, which are a session of their own as soon as it has begun."""
    with suppress(ProcessLookupError):
        os.killpg(pid, number)
        return
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _text(file: IO[bytes], most: int) -> str:
    """The end of what a file holds."""
    file.seek(max(0, os.fstat(file.fileno()).st_size - most))
    return file.read(most).decode("utf-8", "replace")


def _obey(
    request: Mapping[str, Any], result: IO[bytes], printed: IO[bytes], *, closing: Iterable[int], parent: int
) -> NoReturn:
    """Be the command, in a copy of the process; as ``python -P -m pgsynth_core`` would be in a shell."""
    code = 1
    try:
        os.setsid()
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(code)
        for descriptor in closing:
            os.close(descriptor)
        nowhere = os.open(os.devnull, os.O_RDONLY)
        for descriptor, file in enumerate((nowhere, printed.fileno(), printed.fileno())):
            os.dup2(file, descriptor)
        sys.stdout = open(result.fileno(), "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.environ.clear()
        os.environ.update(request["environ"])
        _stand_in(request["cwd"])
        code = _command(request["words"])
    except KeyboardInterrupt:
        code = 130
    except BaseException:  # noqa: BLE001 - a copy must never go on as the original
        traceback.print_exc()
    finally:
        with suppress(BaseException):
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
        os._exit(code)  # taking down all that was imported takes longer than many a command


def _stand_in(folder: str) -> None:
    """Go there; where it is gone, be nowhere, as who asks is."""
    try:
        os.chdir(folder)
    except OSError:
        gone = tempfile.mkdtemp()
        os.chdir(gone)
        os.rmdir(gone)


def _command(words: list[str]) -> int:
    from pgsynth_core.cli import main as pgsynth

    importlib.invalidate_caches()
    sys.argv = ["pgsynth", *words]
    code = pgsynth(words)
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    return code


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    finally:
        os._exit(0)  # as a command does; who started this sees that it is gone
