"""Names that are free: taken once whoever else takes one, never cut at their end, and nothing left that holds nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pgsynth_core.cli.new_files import filled_folder, new_folder, write_new
from pgsynth_core.errors import UserError

PROCESSES, EACH = 3, 40
WRITER = f"""
import sys
from pathlib import Path
from pgsynth_core.cli.new_files import new_folder, write_new
folder, who = Path(sys.argv[1]), sys.argv[2]
print(".", flush=True)
sys.stdin.read()
for number in range({EACH}):
    write_new(f"{{who}} {{number}}".encode(), folder, "x", ".png")
    (new_folder(folder, "frames") / f"{{who}}-{{number}}").touch(exist_ok=False)
"""


def test_processes_that_write_at_once_each_get_names_of_their_own(tmp_path: Path, roots: str) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path / "out"), str(who)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": roots},
        )
        for who in range(PROCESSES)
    ]
    for writer in writers:  # all of them are there before one begins
        assert writer.stdout and writer.stdout.read(1)
    for writer in writers:
        assert writer.stdin
        writer.stdin.close()
    assert [writer.wait() for writer in writers] == [0] * PROCESSES
    for writer in writers:
        assert writer.stdout
        writer.stdout.close()
    wanted = {f"{who} {number}" for who in range(PROCESSES) for number in range(EACH)}
    files = [path for path in (tmp_path / "out").iterdir() if path.is_file()]
    folders = [path for path in (tmp_path / "out").iterdir() if path.is_dir()]
    assert len(files) == len(folders) == len(wanted) and {path.read_text() for path in files} == wanted
    assert {path.suffix for path in files} == {".png"} and all(len([*path.iterdir()]) == 1 for path in folders)


def test_a_name_that_is_taken_gets_a_number(tmp_path: Path) -> None:
    names = [write_new(b"", tmp_path / "to" / "be", "a-seed1", ".png").name for _ in range(3)]
    assert names == ["a-seed1.png", "a-seed1.2.png", "a-seed1.3.png"]
    assert [new_folder(tmp_path, "to").name for _ in range(2)] == ["to.2", "to.3"]


@pytest.mark.parametrize("photo", ["x" * 300, "写" * 120])
def test_a_long_name_keeps_its_beginning_and_its_seed(tmp_path: Path, photo: str) -> None:
    for number in range(12):
        path = write_new(b"", tmp_path, f"me-{photo}-kick-seed0", ".webp")
        assert path.name.startswith(f"me-{photo[:20]}") and len(os.fsencode(path.name)) < 255
        assert path.stem.endswith("-kick-seed0" if number == 0 else f"-kick-seed0.{number + 1}")
        photo_path = write_new(b"", tmp_path, f"{path.stem}-photo", ".png")
        assert photo_path.stem.endswith(f"{path.stem[-11:]}-photo")
    assert new_folder(tmp_path, f"{photo}-dance-seed3").name.endswith("-dance-seed3")


def test_a_folder_that_nothing_comes_into_goes_again(tmp_path: Path) -> None:
    with pytest.raises(KeyError), filled_folder(tmp_path / "outputs" / "run", "test") as made:
        assert made.is_dir()
        raise KeyError
    assert not [*tmp_path.iterdir()]
    with pytest.raises(KeyError), filled_folder(tmp_path / "outputs", "test") as made:
        (made / "a.png").touch()
        raise KeyError
    with filled_folder(tmp_path / "outputs", "test"):
        pass
    assert [path.name for path in tmp_path.rglob("*")] == ["outputs", "test", "a.png"]


def test_where_nothing_can_be_that_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for make in (lambda: write_new(b"", tmp_path / "file", "x", ".png"), lambda: new_folder(Path("/proc"), "x")):
        with pytest.raises(UserError, match="this cannot be written"):
            make()
