"""Ask a fresh Python: what an import prints, changes, breaks or never ends there, it does to nobody else. Floor 1.

The child states facts as it goes, a line of JSON each, on a pipe of its own: nothing that is printed gets among them.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final

from pgsynth_core.errors import PgsynthError
from pgsynth_core.registry.stopping import stoppable

__all__ = ["FreshPython", "state_fact"]

_PIPE: Final = "PGSYNTH_FACTS_PIPE"
_SHORT: Final = 0.2
_GRACE: Final = 5.0
"""Seconds to end in order, and with it what it started itself, once it is told to; who was started so has fewer."""
_MOST_PRINTED: Final = 16 * 2**20
"""Bytes; a module that prints without end would fill the disk."""


class FreshPython:
    """A process that calls ``module:function``; it and all that it started are gone when this is left.

    That holds where this process is asked to end meanwhile (Ctrl-C, SIGTERM, a closed terminal), not where it is
    killed.

    Args:
        target: What it calls.
        words: Found there in `sys.argv`.
        given: JSON for its stdin, which is empty if None.
        environ: On top of this process's own; what this process can import, it can too.
        folder: Where it works; here if None.
        warnings: What it does with those of Python, see ``python -W``.

    Raises:
        PgsynthError: If it cannot be started.
    """

    def __init__(
        self,
        target: str,
        *words: str,
        given: object = None,
        environ: Mapping[str, str] | None = None,
        folder: str | Path | None = None,
        warnings: str = "ignore",
    ) -> None:
        module, _, function = target.partition(":")
        code = f"from {module} import {function}; {function}()"
        paths = os.pathsep.join(os.path.abspath(path) for path in sys.path if path)
        self._late = self._flooded = False
        self._left = ExitStack()
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115 - closed when this is left
        self._reading, writing = os.pipe()
        try:
            with tempfile.TemporaryFile() as stdin:
                stdin.write(b"" if given is None else json.dumps(given).encode())
                stdin.seek(0)
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-W", warnings, "-c", code, *words],
                    env={**os.environ, "PYTHONPATH": paths, _PIPE: str(writing), **(environ or {})},
                    cwd=folder,
                    stdin=stdin,
                    stdout=self._printed,
                    stderr=self._printed,
                    pass_fds=(writing,),
                    start_new_session=True,  # what it starts can be ended with it
                )
        except OSError as error:
            os.close(self._reading)
            self._printed.close()
            raise PgsynthError(f"{sys.executable} cannot be started: {error.strerror or error}.") from error
        finally:
            os.close(writing)

    def __enter__(self) -> FreshPython:  # noqa: PYI034 - the checker of shapes knows no Self
        self._left.enter_context(stoppable())
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self._end()
        finally:
            os.close(self._reading)
            self._printed.close()
            self._left.close()

    def _end(self) -> None:
        if self._process.poll() is None:
            self._signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
                self._process.wait(_GRACE / 5 if _PIPE in os.environ else _GRACE)
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def facts(self, patience: float, *, starting: float | None = None) -> Iterator[dict[str, Any]]:
        """What it states, until it ends, or says nothing for too long.

        Args:
            patience: Seconds to wait after each fact.
            starting: Seconds to wait for the first one; as long if None.
        """
        held, until = b"", time.monotonic() + (patience if starting is None else starting)
        while (left := until - time.monotonic()) > 0:
            if os.fstat(self._printed.fileno()).st_size > _MOST_PRINTED:
                self._flooded = True
                self._end()
                return
            over = self._process.poll() is not None  # before looking: what it said last is read then
            if select.select([self._reading], [], [], 0 if over else min(left, _SHORT))[0]:
                piece = os.read(self._reading, 65536)
                if not piece:
                    return
                *whole, held = (held + piece).split(b"\n")
                yield from (json.loads(line) for line in whole)
                until = time.monotonic() + patience
            elif over:
                return
        self._late = True

    @property
    def late(self) -> bool:
        """Whether it was given up."""
        return self._late

    @property
    def printed(self) -> list[str]:
        """Every line that is not blank of what it printed so far."""
        self._printed.seek(0)
        lines = self._printed.read().decode("utf-8", "replace").splitlines()
        return [line for line in lines if line.strip()]

    @property
    def ended(self) -> str:
        """How it ended and the last that it printed, in words; after `facts` are at their end, and unless `late`."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        code = self._process.poll()
        if self._flooded:
            return f"(it printed more than {_MOST_PRINTED // 2**20} MiB)."
        how = "without a word" if code is None else f"signal {-code}" if code < 0 else f"exit code {code}"
        lines = self.printed
        return f"({how}): {lines[-1].strip()[:500]}" if lines else f"({how})."


def state_fact(fact: Mapping[str, Any]) -> None:
    """State a fact to who asked; called in the child."""
    line = json.dumps(fact).encode() + b"\n"
    with open(int(os.environ[_PIPE]), "wb", closefd=False) as pipe:
        pipe.write(line)
