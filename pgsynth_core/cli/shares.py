"""One evaluation sampled by several processes, each every N-th pair: this one takes the first share, starts the rest.

A process that dies costs time alone: whatever it left undone is sampled here in the end.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pgsynth_core.api.evaluating import Evaluation
    from pgsynth_core.evaluation.share import Share

__all__ = ["sample_in_processes", "share_of"]

_LAST_WORDS = 400


def share_of(word: str) -> Share:
    """``2/4`` as the second of four shares.

    Raises:
        argparse.ArgumentTypeError: If it is none.
    """
    from pgsynth_core.evaluation.share import Share

    number, _, of = word.partition("/")
    if number.isdecimal() and of.isdecimal() and len(word) < 12 and 1 <= int(number) <= int(of):
        return Share(int(number), int(of))
    raise argparse.ArgumentTypeError(f"{word!r} is no share; write I/N, e.g. 2/4 for the second of four.")


def sample_in_processes(
    evaluation: Evaluation,
    arguments: argparse.Namespace,
    counted: Callable[[str, int, int], None],
    warn: Callable[[str], None],
) -> None:
    """Sample all pairs of an evaluation.

    Args:
        evaluation: What is sampled, its model loaded here.
        arguments: Of the command, which its processes are given, too.
        counted: Told how many pictures there are.
        warn: Told of a process that failed.
    """
    from pgsynth_core.evaluation.share import Share

    processes, names = arguments.processes or 1, evaluation.names

    def tell(done: int) -> None:
        there = done if processes == 1 else sum(map(evaluation.has, names))
        counted("drawing", there, len(names))

    others = [_start(arguments, Share(number, processes)) for number in range(2, processes + 1)]
    try:
        evaluation.sample(Share(1, processes), on_picture=tell)
        for number, (other, said) in enumerate(others, 2):
            if other.wait():
                said.seek(0)
                last = said.read().decode(errors="replace").strip()[-_LAST_WORDS:]
                warn(f"process {number} of {processes} failed, and its pairs are sampled here: {last}")
    finally:
        for other, said in others:
            if other.poll() is None:
                other.terminate()
            said.close()
    if others:
        evaluation.sample(on_picture=tell)


def _start(arguments: argparse.Namespace, share: Share) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    """A process, and the file of what it says: a pipe that nobody empties would fill in hours."""
    words = [*arguments.words, "--shard", f"{share.number}/{share.of}", *_flags(arguments)]
    words += ["--device", arguments.device or _device(share)]
    environment = {**os.environ}
    if words[-1] == "cpu":
        environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // share.of)))
    said = tempfile.TemporaryFile()  # noqa: SIM115 - closed by who waits for the process
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "pgsynth_core", "evaluate", *words],
        stdout=subprocess.DEVNULL,
        stderr=said,
        stdin=subprocess.DEVNULL,
        env=environment,
    )
    return process, said


def _device(share: Share) -> str:
    """A GPU of its own, as far as there are GPUs."""
    import torch

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return f"cuda:{(share.number - 1) % gpus}" if gpus else "cpu"


def _flags(arguments: argparse.Namespace) -> list[str]:
    """What says which pictures are made."""
    given: Mapping[str, Any] = {
        name: getattr(arguments, name) for name in ("split", "limit", "seed", "steps", "runs", "guidance")
    }
    flags = [word for name, value in given.items() if value is not None for word in (f"--{name}", _word(value))]
    return [*flags, *(["--no-ema"] if arguments.no_ema else [])]


def _word(value: Any) -> str:
    if isinstance(value, Mapping):
        return ",".join(f"{name}={scale}" for name, scale in value.items())
    return str(value)
