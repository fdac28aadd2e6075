"""Write a result to a file: whole or not at all, and never over something else without being told to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pgsynth_core.errors import UserError, nearest
from pgsynth_core.runs.durable import replace_file

__all__ = ["Target"]


@dataclass(frozen=True)
class Target:
    """Where a result goes; made before the work begins, so that a bad place is told at once.

    Attributes:
        given: The path as the user wrote it.
        force: Whether a file that differs may be replaced.
    """

    given: str
    force: bool = False

    @property
    def path(self) -> Path:
        """The file itself: links are followed, or replacing would turn a link into a file."""
        return Path(self.given).resolve()

    def check_place(self) -> None:
        """Refuse a place where no file can be.

        Raises:
            UserError: If it is a folder, or its folder does not exist.
        """
        try:
            path = self.path
            if path.is_dir():
                raise self._refused("this is a folder.", "Add a file name, e.g. method.yaml.")
            if not path.parent.is_dir():
                raise self._refused(f"there is no folder {str(path.parent)!r}.", self._parent_cure(path.parent))
        except (OSError, ValueError, RuntimeError) as error:  # a name too long, a NUL, a circle of links
            raise self._refused(f"this cannot be a file: {_reason(error)}.", "Give another path.") from error

    def check_content(self, text: str) -> None:
        """Refuse to replace a file that holds something else.

        Raises:
            UserError: If there is such a file and `force` is off.
        """
        if self.path.is_file() and not self.force and self._read() != text.encode():
            raise self._refused("the file exists and holds something else.", "Give another name, or --force.")

    def check_new(self) -> None:
        """Refuse to replace any file, for results that cannot be compared before the work is done.

        Raises:
            UserError: If there is a file and `force` is off.
        """
        if self.path.is_file() and not self.force:
            raise self._refused("the file exists.", "Give another name, or --force.")

    def write(self, content: str | bytes) -> None:
        """Write it so that a reader sees the old file or the new one.

        Raises:
            UserError: If the system refuses; nothing is left behind.
        """
        data, path = content.encode() if isinstance(content, str) else content, self.path
        try:
            if path.exists() and not path.is_file():
                path.write_bytes(data)  # a device or a pipe: there is nothing to replace
            else:
                replace_file(path, data)
        except OSError as error:
            raise self._refused(f"cannot be written: {_reason(error)}.", "Mend that, or give another path.") from error

    def _read(self) -> bytes | None:
        try:
            return self.path.read_bytes()
        except OSError:
            return None

    def _refused(self, message: str, cure: str) -> UserError:
        return UserError(message, where=self.given, cure=cure)

    @staticmethod
    def _parent_cure(parent: Path) -> str:
        beside = (
            [folder.name for folder in parent.parent.iterdir() if folder.is_dir()] if parent.parent.is_dir() else []
        )
        hit = nearest(parent.name, beside)
        return f"Did you mean {hit!r}? Or make it: mkdir -p '{parent}'." if hit else f"Make it: mkdir -p '{parent}'."


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
