"""Asking for remote files: which URLs may be asked for, how they are opened, and what a refusal means.

``http://`` and ``https://`` go through the standard library, every other scheme (``hf://``, ``s3://``) through fsspec,
whose own reader of https would bring an asynchronous client along.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.client import InvalidURL
from typing import Any, Final, Protocol, runtime_checkable
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import BaseHandler, Request, build_opener

from pgsynth_core.errors import UserError

__all__ = ["HTTP", "SILENCE_SECONDS", "Readable", "checked_url", "is_fact", "is_final", "opened", "reason", "shown_url"]

SILENCE_SECONDS: Final = 60.0
"""So long a server may say nothing; less than the time after which training gives up on a worker that reads."""

HTTP: Final = ("http", "https")

_CHAIN: Final = "::"
"""By which fsspec chains readers, of archives, of other addresses, of text in the URL itself."""

_NOT_THERE: Final = frozenset({403, 404, 410})
"""Answers by which a server says that there is no such file, or none that it would give."""

_AGAIN: Final = frozenset({408, 425, 429})
"""Answers below 500 after which asking again may help."""


@runtime_checkable
class Readable(Protocol):
    """What a client opens."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""


def shown_url(url: str) -> str:
    """A URL for messages: without name, password and query, in which there may be secrets."""
    try:
        address = urlsplit(url.partition(_CHAIN)[0])
    except ValueError:
        return f"{url.partition('://')[0]}://..."
    return f"{address.scheme}://{address.netloc.rpartition('@')[2]}{address.path}"


def checked_url(url: str) -> str:
    """The same URL, if it may be asked for.

    Raises:
        UserError: If it is none; if it chains several readers, by which an index could have any file read and any
            reader run; or if it holds a password for http, where it would be sent in the clear or kept in the spec.
    """
    try:
        address = urlsplit(url)
        user = address.username
    except ValueError as failure:
        raise UserError(f"this is no URL: {failure}.", where=shown_url(url), cure="Write https://HOST/PATH.") from None
    if _CHAIN in url:
        message = f"a URL names one file, and {_CHAIN!r} in it would chain several readers."
        raise UserError(message, where=shown_url(url), cure=f"Give the file's own address, without {_CHAIN!r}.")
    if user is not None and address.scheme in HTTP:
        cure = "Give a signed URL, or hf:// or s3://, whose clients have credentials of their own."
        raise UserError("a URL of http holds no name and no password.", where=shown_url(url), cure=cure)
    return url


class _HttpOnly(BaseHandler):
    """Refuses what urllib would else go on to where a server sends it elsewhere."""

    def ftp_request(self, request: Request) -> Request:
        """Raises a ValueError."""
        to = shown_url(request.full_url)
        raise ValueError(f"the server sends on to {to}, and that is followed only to https, or from http to http")


class _HttpsOnly(_HttpOnly):
    """Nor does it go from https to http."""

    def http_request(self, request: Request) -> Request:
        """Raises a ValueError."""
        return self.ftp_request(request)


@contextmanager
def opened(url: str) -> Iterator[tuple[Readable, int]]:
    """The remote file, and its size as its server says it: 0 if it does not.

    Raises:
        UserError: If it may not be asked for; see `checked_url`.
        Exception: Whatever a client of its scheme raises; see `is_fact`, `is_final` and `reason`.
    """
    if (scheme := urlsplit(checked_url(url)).scheme) in HTTP:
        asked = Request(url, headers={"User-Agent": "pgsynth"})
        try:
            answer = build_opener(_HttpsOnly if scheme == "https" else _HttpOnly).open(asked, timeout=SILENCE_SECONDS)
        except HTTPError as refusal:
            refusal.close()  # it is an answer too
            raise
        with answer:
            yield answer, max(0, int(answer.headers.get("Content-Length") or 0))
        return
    import fsspec

    with fsspec.open(url, "rb") as file:
        yield file, int(getattr(file, "size", 0) or 0)


# ------------------------------------------------------------------------------------------- what a refusal means
def is_fact(error: Exception) -> bool:
    """Whether the server says of this file that it cannot be had, as a disk says it of a file that is missing."""
    if isinstance(error, HTTPError):
        return error.code in _NOT_THERE
    return isinstance(error, FileNotFoundError | PermissionError)


def is_final(error: Exception) -> bool:
    """Whether asking again is of no use."""
    if isinstance(error, HTTPError):
        return error.code < 500 and error.code not in _AGAIN
    return isinstance(_inner(error), ImportError | ValueError | InvalidURL)  # a certificate's is a ValueError


def reason(error: Exception) -> str:
    """What went wrong, without a full stop."""
    inner = _inner(error)
    if isinstance(inner, TimeoutError):
        return f"nothing came for {SILENCE_SECONDS:.0f} seconds"
    if isinstance(error, HTTPError):
        return f"the server answers {error.code} {error.reason}"
    return str(inner).rstrip(".") or type(inner).__name__


def _inner(error: Exception) -> Any:
    return error.reason if isinstance(error, URLError) and not isinstance(error, HTTPError) else error
