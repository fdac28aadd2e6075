"""Runs side by side, kept as they are read: of a run that trains only what is new is read again. No Textual.

Whoever shows them asks for `read` in a thread, again and again; what is to be compared may be changed meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pgsynth_core.errors import UserError
from pgsynth_core.runs import RunFolder
from pgsynth_core.runs.compared import Comparison
from pgsynth_core.runs.reader import RunFacts, RunReader

__all__ = ["CompareStore", "Read"]


@dataclass(frozen=True)
class Read:
    """What is read of the runs.

    Attributes:
        folders: Which were asked for.
        comparison: Of those that can be read; None with fewer than two.
        problems: Why others cannot be, a sentence each.
    """

    folders: tuple[RunFolder, ...] = ()
    comparison: Comparison | None = None
    problems: tuple[str, ...] = ()


class CompareStore:
    """What is compared.

    Attributes:
        folders: Which runs, the first one first.
    """

    def __init__(self) -> None:
        self.folders: tuple[RunFolder, ...] = ()
        self._readers: dict[Path, RunReader] = {}
        self._before: tuple[tuple[RunFolder, ...], list[RunFacts], tuple[str, ...]] | None = None

    def choose(self, folders: Sequence[RunFolder]) -> bool:
        """Compare these from now on.

        Returns:
            Whether they are others than before.
        """
        before, self.folders = self.folders, tuple(folders)
        return before != self.folders

    def read(self, wanted: Callable[[], bool] = lambda: True) -> Read | None:
        """Read what is new; one thread at a time.

        Args:
            wanted: Asked between two pieces of a long log: whether to go on.

        Returns:
            All that is read; None if it is as before, or was no longer wanted.
        """
        from pgsynth_core.runs.comparing import compare  # numpy, which the first view can do without

        folders = self.folders
        found, problems = list[RunFacts](), list[str]()
        for folder in folders if len(folders) > 1 else ():
            reader = self._readers.setdefault(folder.path, RunReader(folder))
            try:
                facts = reader.read(lambda: wanted() and self.folders == folders)
            except UserError as error:
                gone = f"{folder.id} is gone: its folder was removed."
                problems.append(str(error) if folder.path.exists() else gone)
                continue
            if facts is None:
                return None
            found.append(facts)
        for path in self._readers.keys() - {folder.path for folder in folders}:
            self._readers.pop(path).close()
        now = folders, found, tuple(problems)
        if now == self._before:
            return None
        self._before = now
        return Read(folders, compare(found) if len(found) > 1 else None, tuple(problems))

    def close(self) -> None:
        """Close every log; the thread that reads must have ended."""
        for reader in self._readers.values():
            reader.close()
        self._readers, self._before = {}, None
