"""Tar files read in place: headers once, then the bytes of single members. Nothing is ever unpacked to a disk.

A process keeps what the headers say of the shards it has read from, and no file open: opening one costs less than
decoding a picture, and so neither a fork nor the removal of a fetched shard can meet a file in use.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from io import BufferedReader
from threading import Thread
from time import monotonic
from typing import Final

from pgsynth_core.data import BadRecord, DataError, ShardEntry
from pgsynth_core.errors import UserError
from pgsynth_plugins.datasets.shards.fetching import Remote, fetch, is_here
from pgsynth_plugins.datasets.shards.headers import FIELDS, Table, read_table
from pgsynth_plugins.datasets.shards.places import Shard
from pgsynth_plugins.datasets.shards.room import MOVE

__all__ = ["Archives"]

_TABLES: Final = 512
"""Shards whose headers are remembered; those of a thousand pairs take 0.2 MB each."""

_FETCHES: Final = 8
"""Shards that one process fetches in advance at the same time."""

_TRIES: Final = 3
"""How often a shard is fetched that another process removes before it is opened."""

_LATER_SECONDS: Final = 30.0
"""So long after one that failed, no other fetch in advance of the same shard begins."""

_JOIN_SECONDS: Final = 0.2


class Archives:
    """The shards as one process reads them.

    Args:
        keep: Bytes that fetched shards may take on the disk.
    """

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._tables: OrderedDict[str, Table] = OrderedDict()
        self._failed: dict[str, tuple[BadRecord, ...]] = {}
        self._trusted: set[str] = set()
        self._prefetching: dict[str, Thread] = {}
        self._later: dict[str, float] = {}

    def table(self, shard: Shard) -> Table:
        """What its headers say; read when it is first asked for.

        Raises:
            DataError: If there is no such shard, or it cannot be read. It is said again at once when it is asked for
                again: of a shard with a thousand pairs nobody wants to wait for the network a thousand times.
            UserError: If the network or this disk fails, which says nothing about the shard.
        """
        if shard.url in self._failed:
            raise DataError.of(self._failed[shard.url])
        if shard.url in self._tables:
            self._tables.move_to_end(shard.url)
            return self._tables[shard.url]
        try:
            table = self._tables[shard.url] = self._read_table(shard)
        except DataError as failure:
            self._failed[shard.url] = failure.records
            raise
        if len(self._tables) > _TABLES:
            self._tables.popitem(last=False)
        return table

    def read(self, shard: Shard, number: int, fields: Iterable[str]) -> dict[str, bytes]:
        """The bytes of some of `FIELDS` of a sample; those that it does not have are left out.

        Raises:
            DataError: If there is no such shard, or it cannot be read, or is another than it was.
            UserError: If the network or this disk fails.
        """
        try:
            for _ in range(2):
                table = self.table(shard)
                with self._opened(shard) as file:
                    if file.seek(0, 2) == table.size and number < len(table.keys):
                        return _members(file, table, number, fields)
                if not shard.remote:
                    break
                self._trusted.discard(shard.url)  # it was cut off since: its headers say so, and it is fetched anew
                del self._tables[shard.url]
            raise OSError("it was replaced while it was in use")
        except OSError as error:
            raise _unreadable(shard, error) from error

    def prefetch(self, shards: Sequence[Shard], *, wait: bool) -> None:
        """Fetch shards that will soon be read, in threads; what goes wrong shows when they are read.

        Without `wait`, more than `_FETCHES` at a time are left for the next call.
        """
        far = [shard for shard in dict.fromkeys(shards) if shard.remote and shard.url not in self._failed]
        far = [shard for shard in far if self._later.get(shard.url, 0.0) <= monotonic() and not is_here(_remote(shard))]
        if wait:
            self._prefetch_all(deque(far))
            return
        self._prefetching = {url: thread for url, thread in self._prefetching.items() if thread.is_alive()}
        for shard in far:
            if shard.url not in self._prefetching and len(self._prefetching) < _FETCHES:
                thread = Thread(target=self._prefetch, args=(shard,), daemon=True)  # a worker's end waits for none
                self._prefetching[shard.url] = thread
                thread.start()

    def _prefetch_all(self, far: deque[Shard]) -> None:
        """All of them, and return when no thread is left; Ctrl-C leaves the threads to the end of the process."""

        def work() -> None:
            with suppress(IndexError):  # another thread took the last one
                while far:
                    self._prefetch(far.popleft())

        threads = [Thread(target=work, daemon=True) for _ in range(min(_FETCHES, len(far)))]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(_JOIN_SECONDS)

    def _prefetch(self, shard: Shard) -> None:
        try:
            fetch(_remote(shard), keep=self._keep, patient=False)
            self._trusted.add(shard.url)
        except DataError as failure:
            self._failed[shard.url] = failure.records
        except UserError:  # an outage or a full disk: whoever reads the shard waits for it, or says so
            self._later[shard.url] = monotonic() + _LATER_SECONDS

    def _read_table(self, shard: Shard) -> Table:
        trusted = shard.url in self._trusted
        try:
            with self._opened(shard) as file:
                table = read_table(file)
        except OSError as error:
            raise _unreadable(shard, error) from error
        if shard.remote and table.damage:
            if trusted:  # it was damaged since
                self._trusted.discard(shard.url)
                return self._read_table(shard)
            reason = f"{table.damage} It came as its server has it: the file there is damaged."
            raise DataError.of(BadRecord(shard.shown, 0, reason, "unreadable"))
        return table

    def _opened(self, shard: Shard) -> BufferedReader:
        if not shard.remote:
            return open(shard.url, "rb")
        for _ in range(_TRIES):
            path = fetch(_remote(shard), keep=self._keep, trusted=shard.url in self._trusted)
            self._trusted.add(shard.url)
            with suppress(FileNotFoundError):  # removed by a process that needs the room
                return open(path, "rb")
        message = "other processes remove it before it is read."
        raise UserError(message, where=shard.shown, cure=f"Set data.shards.keep_gb higher. {MOVE}")


def _members(file: BufferedReader, table: Table, number: int, fields: Iterable[str]) -> dict[str, bytes]:
    lying = dict(zip(FIELDS, table.spans[number].tolist(), strict=True))
    found: dict[str, bytes] = {}
    for name in fields:
        offset, length = lying[name]
        if length >= 0:
            file.seek(offset)
            found[name] = file.read(length)
    return found


def _remote(shard: Shard) -> Remote:
    entry = shard.entry or ShardEntry(shard.url, 0)
    return Remote(shard.url, entry.bytes, entry.digest, entry.pairs)


def _unreadable(shard: Shard, error: OSError) -> UserError:
    """Of a shard of the user's, that it cannot be read; of a fetched one, that this disk fails."""
    reason = f"it cannot be read: {error.strerror or error}."
    if shard.remote:
        cure = "Look at the disk of the caches; to have everything fetched anew: pgsynth cache clear --yes"
        return UserError(reason, where=shard.shown, cure=cure)
    return DataError.of(BadRecord(shard.shown, 0, reason, "unreadable"))
