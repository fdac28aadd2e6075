"""Commands of pgsynth in a process that has torch imported already, which is most of a proof's time. No torch here.

For what `shell` does in a process of its own each time: the same words, the same answer, sooner. It is one process
beside the UI (`warm_child`), which copies itself for each command. It is started again when it was killed, when the
environment or what is installed has changed, and, as it ends to give its memory back when nobody asks for a while, on
demand. Commands that import no torch gain little by it.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, final

from pgsynth_tui import shell
from pgsynth_tui.shell import Answer

__all__ = ["Warm"]

_POLL: Final = 0.05
_TRIES: Final = 3
_OURS: Final = "PGSYNTH_"
_LEAVING: Final = 4.0
"""Seconds in which the process is gone once nobody asks any more, with a command that is under way."""
_INTERRUPTED: Final = 130
_COPIES: Final = sys.platform != "darwin"
"""Whether a process that holds such libraries can be copied: not on macOS, where each command is run by `shell`."""


class _EndedError(Exception):
    """The process is gone."""


class _LateError(Exception):
    """There was no answer in time."""


class _UnwantedError(Exception):
    """Nobody waits for the answer any more."""


@final
class _Child:
    """The process, and the pipes to and from it.

    Raises:
        OSError: If it cannot be started.
    """

    def __init__(self, idle: float, *, ahead: bool) -> None:
        reading, self._asking = os.pipe()
        self._answers, writing = os.pipe()
        words = [str(reading), str(writing), str(idle), str(int(ahead))]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "pgsynth_tui.warm_child", *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(reading, writing),
                env=_environ(),  # said, for libraries in C may have added to what is inherited
                start_new_session=True,  # Ctrl-C in the terminal does not reach it
            )
        except BaseException:
            os.close(self._asking)
            os.close(self._answers)
            raise
        finally:
            os.close(reading)
            os.close(writing)
        os.set_blocking(self._asking, False)
        self._environ = _imported_with()
        self._held = b""
        self._free = self._asked = False
        self._command: int | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def lives(self) -> bool:
        """Whether it is there."""
        return self._process.poll() is None

    @property
    def stale(self) -> bool:
        """Whether what it imported may have read another environment than there is now."""
        return self._environ != _imported_with()

    @property
    def busy(self) -> bool:
        """Whether it has begun what it was asked last, and not told how that ended."""
        return self._asked and self._command is not None

    def ask(self, request: dict[str, Any], until: float, wanted: Callable[[], bool]) -> dict[str, Any]:
        """Hand a request in when it is free, and wait for what it says of that.

        Raises:
            _EndedError: If it is gone, or went meanwhile.
            _LateError: If the time is over first.
            _UnwantedError: If nobody wants it any more.
        """
        self._asked = False
        while True:
            late = time.monotonic() > until
            if late or not wanted():
                if self._asked:
                    self._write({"stop": True}, until + _LEAVING)
                elif late:  # it hangs, in an import or in ending the last command
                    self.kill()
                raise _LateError if late else _UnwantedError
            if self._free and not self._asked:
                self._free, self._asked = False, True
                self._write(request, until)
            told = self._told()
            if self._asked and told is not None and ("code" in told or "stale" in told):
                return told

    def _told(self) -> dict[str, Any] | None:
        """The next that it tells; None if that is nothing for now."""
        while b"\n" not in self._held:
            if not select.select([self._answers], [], [], _POLL)[0]:
                return None
            piece = os.read(self._answers, 65536)
            if not piece:
                raise _EndedError
            self._held += piece
        line, _, self._held = self._held.partition(b"\n")
        told: dict[str, Any] = json.loads(line)
        if "began" in told:
            self._command = told["began"]
        elif "ready" in told or "code" in told:
            self._free, self._command = True, None
        return told

    def _write(self, facts: dict[str, Any], until: float) -> None:
        """Half a line would be worse than none: if it takes none in time, it is killed."""
        line = memoryview(json.dumps(facts).encode() + b"\n")
        while line:
            if time.monotonic() > until:
                self.kill()
                raise _EndedError
            try:
                if select.select([], [self._asking], [], _POLL)[1]:
                    line = line[os.write(self._asking, line) :]
            except BrokenPipeError as error:
                raise _EndedError from error

    def kill(self) -> None:
        """At once, with what it runs."""
        for pid in (self._command, self._process.pid):
            if pid:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)

    def close(self, *, at_once: bool) -> str:
        """Be rid of it, when it has ended what it runs or at once; how it ended, in words."""
        if at_once:
            self.kill()
        for descriptor in (self._asking, self._answers):
            os.close(descriptor)
        try:
            code = self._process.wait(_LEAVING)
        except subprocess.TimeoutExpired:
            self.kill()
            code = self._process.wait()
        return _how(code)


@final
class Warm:
    """Runs commands one after the other; from as many threads as one likes.

    Args:
        idle: Seconds without a command after which the process ends, for its memory, until the next.
        ahead: Import torch and our parts before the first command.
    """

    def __init__(self, *, idle: float = 600.0, ahead: bool = True) -> None:
        self._idle, self._ahead = idle, ahead
        self._turn, self._guard = threading.Lock(), threading.Lock()
        self._closed = threading.Event()
        self._child: _Child | None = None

    def __enter__(self) -> Warm:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The process's id; None if there is none now."""
        with self._guard:
            return self._child.pid if self._child and self._child.lives else None

    def start(self) -> None:
        """Begin to import, and do not wait for it; what is wrong is told by the first command."""
        if _COPIES:
            with suppress(OSError, _UnwantedError):
                self._living()

    def run(self, *words: str, seconds: float = 600.0, wanted: Callable[[], bool] = lambda: True) -> Answer:
        """Run a command with ``--json`` and wait for it, and for those before it; call it in a thread.

        Args:
            words: After ``pgsynth``.
            seconds: After its turn has come, until it is given up.
            wanted: Asked now and then; once it says no, the command is ended, and this returns at once. What was
                imported stays.
        """
        while not self._turn.acquire(timeout=_POLL):
            if self._closed.is_set() or not wanted():
                return _unwanted(words)
        try:
            return self._answer(words, seconds, wanted) if _COPIES else shell.run(*words, seconds=seconds)
        except _UnwantedError:
            return _unwanted(words)
        except _LateError:
            return Answer(words, 1, {}, f"it was given up after {seconds:.0f} seconds.")
        except OSError as error:
            return Answer(words, 1, {}, f"{sys.executable} cannot be started: {error.strerror or error}.")
        finally:
            self._turn.release()

    def close(self) -> None:
        """End the process, and what it runs; commands that wait for their turn are given up. For good."""
        self._closed.set()
        got = self._turn.acquire(timeout=_LEAVING)  # who has it gives it up now
        self._drop(at_once=not got)
        if got:
            self._turn.release()

    def _answer(self, words: tuple[str, ...], seconds: float, wanted: Callable[[], bool]) -> Answer:
        def still_wanted() -> bool:
            return not self._closed.is_set() and wanted()

        until = time.monotonic() + seconds
        for _ in range(_TRIES):
            if not still_wanted():
                raise _UnwantedError
            child = self._living()
            request = {"words": [*words, "--json"], "cwd": _here(), "environ": _environ()}
            try:
                told = child.ask(request, until, still_wanted)
            except _EndedError:
                was_busy, how = child.busy, self._drop(at_once=True)
                if was_busy:  # what it did until then is not done twice
                    why = f"the process that ran it is gone ({how}). Out of memory?"
                    return Answer(words, 1, {}, why)
                continue  # it ended for idleness, or was killed before
            if "code" in told:
                return _answer_of(words, told)
            self._drop(at_once=False)
        return shell.run(*words, seconds=max(0.0, until - time.monotonic()))  # whatever keeps it from living

    def _living(self) -> _Child:
        with self._guard:
            if self._child and (self._child.stale or not self._child.lives):
                self._child.close(at_once=not self._child.lives)
                self._child = None
            if self._closed.is_set():
                raise _UnwantedError
            if self._child is None:
                self._child = _Child(self._idle, ahead=self._ahead)
            return self._child

    def _drop(self, *, at_once: bool) -> str:
        with self._guard:
            child, self._child = self._child, None
        return child.close(at_once=at_once) if child else ""


def _here() -> str:
    """Where relative paths begin; empty where that folder is gone."""
    try:
        return os.getcwd()
    except OSError:
        return ""


def _environ() -> dict[str, str]:
    """Ours, without what would have a command complete words in place of running."""
    return {name: value for name, value in os.environ.items() if not name.startswith("_ARGCOMPLETE")}


def _imported_with() -> dict[str, str]:
    """What something may have read while it was imported; variables of our own are read when they are needed."""
    return {name: value for name, value in _environ().items() if not name.startswith(_OURS)}


def _how(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return f"signal {-code}, {signal.Signals(-code).name}"
    return f"signal {-code}"


def _unwanted(words: tuple[str, ...]) -> Answer:
    return Answer(words, _INTERRUPTED, {}, "it was given up: nobody waits for it any more.")


def _answer_of(words: tuple[str, ...], told: dict[str, Any]) -> Answer:
    """What a command said; one that died before it could say anything has a problem all the same."""
    code, err = told["code"], told["err"]
    try:
        facts = json.loads(told["out"])
    except ValueError:
        facts = None
    if told["why"]:
        code, facts, err = 1, None, f"{err}\nit was ended: {told['why']}"
    elif code < 0 or not told["out"].strip():
        memory = " Out of memory?" if code == -signal.SIGKILL else ""
        err += f"\nits process ended without a result ({_how(code)}).{memory}"
        code = code or 1
    return Answer(words, code if code >= 0 else 1, facts if isinstance(facts, dict) else {}, err)
