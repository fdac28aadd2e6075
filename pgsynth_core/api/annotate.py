"""The verb `annotate`: poses and label maps of photos, by annotators, in the project's formats.

Photos stream through: read ahead by threads, looked at in batches, forgotten. A file that is there and whole is known
and stays, whoever made it; so whatever ends the work, the next start goes on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal, get_args

import numpy as np

from pgsynth_core.annotators import Annotator, Joints, ParsingAnnotator, PoseAnnotator, parsings_of, poses_of
from pgsynth_core.api.annotating import ChosenAnnotator, annotators_for
from pgsynth_core.api.annotation_sheet import Shown, annotation_sheet
from pgsynth_core.api.annotations import place_of, put, put_parsing, put_pose, whole
from pgsynth_core.api.photo_files import PhotoFile, photo_files, require_photos
from pgsynth_core.data import BadRecord, DataError, present, read_image
from pgsynth_core.data.files import image_size
from pgsynth_core.data.people import PERSON_RULES, chosen_person, require_person_rule
from pgsynth_core.errors import UserError
from pgsynth_core.manifest import Finding
from pgsynth_core.registry import Registry, discover
from pgsynth_core.runs.durable import require_writable

__all__ = ["AnnotateSettings", "Annotated", "Tally", "annotate"]

FINDINGS: Final[tuple[Finding, ...]] = get_args(Finding)
_NAMED: Final = 100
"""Names of photos that are kept for the report, of each thing that there is to tell."""
_PIXELS: Final = 2**26
"""Of all photos of a batch together, and of all that are read ahead, but for one that is larger by itself."""

OnEvent = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, kw_only=True)
class AnnotateSettings:
    """How photos are to be annotated.

    Attributes:
        finds: What is wanted of ``pose`` and ``parsing``.
        annotators: Words as `annotators_for` reads them.
        person: Who is meant where there are several, see `data.people`.
        fresh: Make anew what is there.
        bad: What comes of a photo that cannot be annotated: ``skip`` or ``fail``.
        batch: Photos that are looked at together, at most; fewer where memory ends.
        sheet: How many of the first photos are drawn for the sheet; 0: none.
        device: Where annotators work; empty: a GPU if there is one.
    """

    finds: tuple[Finding, ...] = FINDINGS
    annotators: tuple[str, ...] = ()
    person: str = PERSON_RULES[0]
    fresh: bool = False
    bad: Literal["skip", "fail"] = "skip"
    batch: int = 8
    sheet: int = 12
    device: str = ""


@dataclass
class Tally:
    """How many, and the names of the first."""

    count: int = 0
    names: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        """Count one more photo, by its name."""
        self.count += 1
        if len(self.names) < _NAMED:
            self.names.append(name)


@dataclass
class Annotated:
    """What was done.

    Attributes:
        photos: How many were looked at.
        annotated: Those of which something was written.
        kept: Those of which everything was known.
        bad: Those that could not be annotated, and why.
        nobody: Of those annotated, where nobody was seen.
        several: Where there were several people, of whom one was taken.
        absent: Where there are fewer people than the number that was asked for, so that no pose was written.
        written: What was found, to the number of files.
        ids: What was found, to who found it, as one word; only those who were asked.
        label_set: Of the label maps that were written; empty if none was.
        smaller: The batch for which memory was enough, where it was not for the one that was wanted; else 0.
        sheet: The first photos with what is known of them; None if none was to be drawn.
    """

    photos: int = 0
    annotated: int = 0
    kept: int = 0
    bad: Tally = field(default_factory=Tally)
    nobody: Tally = field(default_factory=Tally)
    several: Tally = field(default_factory=Tally)
    absent: Tally = field(default_factory=Tally)
    written: dict[Finding, int] = field(default_factory=dict)
    ids: dict[Finding, str] = field(default_factory=dict)
    label_set: str = ""
    smaller: int = 0
    sheet: Any = None


@dataclass(frozen=True)
class _Photo:
    """A photo before it is looked at."""

    file: PhotoFile
    missing: tuple[Finding, ...] = ()
    pixels: int = 0
    image: np.ndarray | None = None
    failure: DataError | None = None


def annotate(
    paths: Sequence[str | Path],
    settings: AnnotateSettings | None = None,
    *,
    out: str | Path | None = None,
    registry: Registry | None = None,
    on_event: OnEvent | None = None,
) -> Annotated:
    """Find what is not known of photos, and write it beside them.

    Args:
        paths: Photos, and folders with all below them.
        settings: How; by default poses and label maps by the default annotators.
        out: Folder for what is found, at the same places as in a folder of photos; by default beside each photo.
        registry: What exists; found anew if None.
        on_event: Told how far it is, and what is odd.

    Raises:
        UserError: If paths, words or settings are none, annotators cannot be built, a photo is bad and that is to
            end it, no photo could be annotated, or something cannot be written.
    """
    settings, registry = settings or AnnotateSettings(), registry or discover()
    place = Path(out) if out else None
    require_photos(paths, place)
    require_person_rule(settings.person, where="--person")
    chosen = annotators_for(registry, settings.finds, settings.annotators)
    if place:
        require_writable(place, "annotations cannot be written here", elsewhere="-o DIR")
    work = _Work(settings, chosen, place, on_event or (lambda event: None))
    total = sum(1 for _ in photo_files(paths, place))
    if not total:
        cure = "Give a photo, or a folder that has some in it."
        raise UserError("there is no photo.", where=" ".join(map(str, paths)), cure=cure)
    work.go(photo_files(paths, place), total)
    if work.done.bad.count == work.done.photos:
        raise DataError.of(work.failures, shown=5)
    if work.first:
        work.done.sheet = annotation_sheet(work.first)
    return work.done


@dataclass
class _Work:
    settings: AnnotateSettings
    chosen: Mapping[Finding, ChosenAnnotator]
    out: Path | None
    tell: OnEvent
    done: Annotated = field(default_factory=Annotated)
    first: list[Shown] = field(default_factory=list)
    failures: list[BadRecord] = field(default_factory=list)
    built: dict[str, Annotator] = field(default_factory=dict)

    def go(self, files: Iterable[PhotoFile], total: int) -> None:
        """All photos, a batch at a time."""
        with ThreadPoolExecutor() as pool:
            batch: list[_Photo] = []
            for photo in _ahead(pool, self._lacking, _read, files, self.settings.batch):
                self.done.photos += 1
                if photo.failure:
                    self._bad(photo, photo.failure)
                elif photo.image is None:
                    self.done.kept += 1
                    self._show(photo, "known")
                else:
                    if sum(one.pixels for one in batch) + photo.pixels > _PIXELS:
                        self._look(batch)
                        batch = []
                    batch.append(photo)
                if len(batch) >= (self.done.smaller or self.settings.batch):
                    self._look(batch)
                    batch = []
                self.tell({"kind": "count", "doing": "annotating", "done": self.done.photos, "of": total})
            self._look(batch)

    # ------------------------------------------------------------------ one photo
    def _lacking(self, file: PhotoFile) -> _Photo:
        """What is not known of a photo, and if that is anything, how large it is; in a thread."""
        try:
            if file.twin:
                reason = f"it has the name of {file.twin} beside it: annotations of both would be one file."
                raise DataError.of(BadRecord(str(file.path), 0, reason, "unreadable"), cure="Rename one of them.")
            missing = tuple(finding for finding in self.settings.finds if not self._known(file, finding))
            height, width = (image_size(file.path) if missing else None) or (0, 0)
            return _Photo(file, missing, height * width)
        except DataError as failure:
            return _Photo(file, failure=failure)

    def _known(self, file: PhotoFile, finding: Finding) -> bool:
        """Whether an annotation is there; one that is beside the photo is copied to where it should be."""
        if self.settings.fresh:
            return False
        place = place_of(file.stem, finding)
        if whole(place, finding) is not None:
            return True
        beside = place_of(file.path.with_suffix(""), finding)
        content = whole(beside, finding) if self.out and beside != place else None
        if content is not None:
            put(place, content)
        return content is not None

    def _bad(self, photo: _Photo, failure: DataError) -> None:
        if self.settings.bad == "fail":
            raise failure
        self.done.bad.add(str(failure))
        if len(self.failures) < _NAMED:
            self.failures += failure.records
        self.tell({"kind": "warning", "message": str(failure)})

    def _show(self, photo: _Photo, said: str, people: Sequence[Joints] = ()) -> None:
        if len(self.first) < self.settings.sheet:
            self.first.append(Shown(photo.file, said, tuple(people)))

    # ------------------------------------------------------------------ a batch of them
    def _look(self, batch: Sequence[_Photo]) -> None:
        """Annotate photos; where memory ends, fewer at once, and one by one those that are left."""
        if not batch:
            return
        try:
            found = {finding: self._found(finding, batch) for finding in self.settings.finds}
        except (MemoryError, RuntimeError) as error:
            said = _shortage(error)
            if not said:
                raise
        else:
            for place, photo in enumerate(batch):
                self._write(photo, {finding: its[place] for finding, its in found.items() if place in its})
            return
        if len(batch) == 1:
            record = BadRecord(str(batch[0].file.path), 0, f"it is too large for this machine: {said}", "unreadable")
            self._bad(batch[0], DataError.of(record, cure="Make it smaller, or take another --device."))
            return
        half = len(batch) // 2
        if not self.done.smaller or half < self.done.smaller:
            self.done.smaller = half
            message = f"{said} {len(batch)} photos at once were too many; {half} from here on."
            self.tell({"kind": "warning", "message": message})
        self._look(batch[:half])
        self._look(batch[half:])

    def _found(self, finding: Finding, batch: Sequence[_Photo]) -> dict[int, Any]:
        """Place in the batch -> what is found there, of those of which it is not known."""
        places = [place for place, photo in enumerate(batch) if finding in photo.missing]
        photos = [image for place in places if (image := batch[place].image) is not None]
        if not photos:
            return {}
        annotator = self._annotator(finding)
        self.done.ids[finding] = annotator.id
        if finding == "pose":
            assert isinstance(annotator, PoseAnnotator)
            return dict(zip(places, poses_of(annotator, photos), strict=True))
        assert isinstance(annotator, ParsingAnnotator)
        self.done.label_set = annotator.label_set
        return dict(zip(places, parsings_of(annotator, photos), strict=True))

    def _annotator(self, finding: Finding) -> Annotator:
        """Built when it is first asked, and once if it finds both: what is known needs no weights."""
        chosen = self.chosen[finding]
        if chosen.entry.qualified not in self.built:
            self.tell({"kind": "doing", "doing": f"loading {chosen.entry.name}"})
            self.built[chosen.entry.qualified] = chosen.built(self._device)
        return self.built[chosen.entry.qualified]

    @cached_property
    def _device(self) -> str:
        from pgsynth_core.api.devices import device_named  # torch

        return device_named(self.settings.device or None)

    def _write(self, photo: _Photo, found: Mapping[Finding, Any]) -> None:
        """Write what was found of a photo."""
        said, image = "", photo.image
        people: list[Joints] = []
        assert image is not None
        if "pose" in found:
            people = [joints for joints in found["pose"] if present(joints).any()]
            said = self._write_pose(photo, people, (image.shape[0], image.shape[1]))
        if "parsing" in found:
            put_parsing(place_of(photo.file.stem, "parsing"), found["parsing"], self.done.label_set)
            self.done.written["parsing"] = self.done.written.get("parsing", 0) + 1
        self.done.annotated += 1
        self._show(photo, said, people)

    def _write_pose(self, photo: _Photo, people: list[Joints], size: tuple[int, int]) -> str:
        """Write the pose of the one who is meant, and say who there was."""
        name = str(photo.file.path)
        place = chosen_person(people, self.settings.person) if people else None
        if not people:
            self.done.nobody.add(name)
        elif place is None:
            self.done.absent.add(f"{name} ({len(people)})")
            return f"{len(people)} people, no number {self.settings.person}"
        elif len(people) > 1:
            self.done.several.add(f"{name} ({len(people)})")
        meant = [] if place is None else [people[place]]
        put_pose(place_of(photo.file.stem, "pose"), meant, size, self.done.ids["pose"])
        self.done.written["pose"] = self.done.written.get("pose", 0) + 1
        return "nobody" if place is None else f"{len(people)} people, number {place + 1}" if len(people) > 1 else ""


def _read(photo: _Photo) -> _Photo:
    """The photo with its picture, if anything is not known of it; in a thread."""
    if photo.failure or not photo.missing:
        return photo
    try:
        return replace(photo, image=read_image(photo.file.path))
    except DataError as failure:
        return replace(photo, failure=failure)


def _ahead(
    pool: ThreadPoolExecutor,
    look: Callable[[PhotoFile], _Photo],
    read: Callable[[_Photo], _Photo],
    files: Iterable[PhotoFile],
    depth: int,
) -> Iterator[_Photo]:
    """Photos in order, so many of them read while others are looked at, but no more pixels than `_PIXELS`."""
    coming, looked, waiting = iter(files), deque[Future[_Photo]](), deque[tuple[int, Future[_Photo]]]()
    try:
        while True:
            looked.extend(pool.submit(look, file) for file in islice(coming, depth + 1 - len(looked) - len(waiting)))
            while looked:
                photo = looked[0].result()
                if waiting and sum(pixels for pixels, _ in waiting) + photo.pixels > _PIXELS:
                    break
                looked.popleft()
                waiting.append((photo.pixels, pool.submit(read, photo)))
            if not waiting:
                return
            yield waiting.popleft()[1].result()
    finally:
        for one in (*looked, *(future for _, future in waiting)):
            one.cancel()


def _shortage(error: BaseException) -> str:
    """What is lacking, if the error says that memory is; empty if it says something else."""
    from accelerate.utils.memory import clear_device_cache

    from pgsynth_core.api.shortage import shortage_of

    lacking = shortage_of(error)
    if lacking is None:
        return ""
    error.__traceback__ = None  # which holds what the networks made
    clear_device_cache(garbage_collection=True)
    return str(lacking)
