"""Asking for remote files: which URLs may be asked for, how they are opened, and what a refusal means.

``http://`` and ``https://`` go through the standard library, every other scheme (``hf://``, ``s3://``) through fsspec,
whose own reader of https would bring an asynchronous client along.

What fails while a remote file is opened or read is a `Failure`, whatever its client raises; any other error of whoever
reads it is of this machine, a full disk for one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import InvalidURL
from typing import Any, Final, Literal
from urllib.error import HTTPError, URLError
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from urllib.request import BaseHandler, Request, build_opener

from pgsynth_core.errors import UserError

__all__ = [
    "HTTP",
    "SILENCE_SECONDS",
    "Answer",
    "Failure",
    "Means",
    "checked_url",
    "opened",
    "shown_url",
    "without_secrets",
]

SILENCE_SECONDS: Final = 60.0
"""So long a server may say nothing; less than the time after which training gives up on a worker that reads."""

HTTP: Final = ("http", "https")

_CHAIN: Final = "::"
"""By which fsspec chains readers, of archives, of other addresses, of text in the URL itself."""

_NOT_THERE: Final = frozenset({404, 410})
_REFUSED: Final = frozenset({400, 401, 403})
"""Answers to whom a server gives nothing, or nothing any more: Google's says 400 of a signature that has expired."""

_AGAIN: Final = frozenset({408, 425, 429})
"""Answers below 500 after which asking again may help."""

_SAFE: Final = "%/:?@!$&'()*+,;=~|[]"
"""What stands in a path or a query as it is written; all else, a space for one, is sent as ``%20`` and the like."""

_SHORT: Final = 4
"""Letters of a value in a query that is not looked for, for it may stand anywhere by chance."""

Means = Literal["missing", "refused", "other", "final", "outage", "room"]
"""What a failure says: there is no such file; it is not given, or not any more; it is another than the index lists;
asking again is of no use; it may be; other shards take the room."""


class Failure(Exception):
    """A remote file that could not be had.

    Args:
        reason: What went wrong, without a full stop.
        means: What follows from it.
    """

    def __init__(self, reason: str, means: Means) -> None:
        super().__init__(reason)
        self.reason = reason
        self.means = means


class Answer:
    """An open remote file.

    Attributes:
        size: Its bytes as its server says it; 0 if it does not.
    """

    def __init__(self, file: Any, size: int) -> None:
        self.size = size
        self._file = file

    def read(self, size: int) -> bytes:
        """At most so many bytes; none at the end.

        Raises:
            Failure: If it cannot be read.
        """
        with _asking():
            return bytes(self._file.read(size))

    def close(self) -> None:
        """Nothing more is read."""
        with suppress(Exception):
            self._file.close()


def shown_url(url: str) -> str:
    """A URL for messages: without name, password and query, in which there may be secrets."""
    try:
        address = urlsplit(url.partition(_CHAIN)[0])
    except ValueError:
        return f"{url.partition('://')[0]}://..."
    return f"{address.scheme}://{address.netloc.rpartition('@')[2]}{address.path}"


def without_secrets(text: str, url: str) -> str:
    """A text without what may be a secret in a URL: what stands before ``@`` and after ``?``, and the values in it."""
    try:
        address = urlsplit(url)
    except ValueError:
        return text.replace(url, shown_url(url))
    user = address.netloc.rpartition("@")[0]
    values = [value for _, value in parse_qsl(address.query)]
    pieces = {f"?{address.query}", f"{user}@", user.partition(":")[2]}
    pieces |= {piece for piece in (address.query, *values, *map(quote, values)) if len(piece) > _SHORT}
    pieces |= set(map(unquote, pieces))
    for piece in sorted(pieces - {"", "?", "@"}, key=len, reverse=True):
        text = text.replace(piece, "...")
    return text


def checked_url(url: str) -> str:
    """The same URL, if it may be asked for.

    Raises:
        UserError: If it is none; if it chains several readers, by which an index could have any file read and any
            reader run; or if it holds a password for http, where it would be sent in the clear or kept in the spec.
    """
    try:
        url.encode()
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
def opened(url: str) -> Iterator[Answer]:
    """The remote file, open.

    Raises:
        UserError: If it may not be asked for; see `checked_url`.
        Failure: If it cannot be opened.
    """
    checked_url(url)
    with _asking():
        answer = _asked(url)
    try:
        yield answer
    finally:
        answer.close()


def _asked(url: str) -> Answer:
    address = urlsplit(url)
    if address.scheme in HTTP:
        quoted = address._replace(path=quote(address.path, _SAFE), query=quote(address.query, _SAFE)).geturl()
        asked = Request(quoted, headers={"User-Agent": "pgsynth"})
        only = _HttpsOnly if address.scheme == "https" else _HttpOnly
        answer = build_opener(only).open(asked, timeout=SILENCE_SECONDS)
        return Answer(answer, max(0, int(answer.headers.get("Content-Length") or 0)))
    import fsspec

    file = fsspec.open(url, "rb").open()
    return Answer(file, int(getattr(file, "size", 0) or 0))


# ------------------------------------------------------------------------------------------- what a refusal means
@contextmanager
def _asking() -> Iterator[None]:
    """Whatever a client of some scheme raises inside is a `Failure`."""
    try:
        yield
    except Exception as error:
        if isinstance(error, HTTPError):
            error.close()  # it is an answer too
        raise Failure(_reason(error), _means(error)) from error


def _means(error: Exception) -> Means:
    if isinstance(error, PermissionError) or _is_unauthorised(error):
        return "refused"
    if isinstance(error, HTTPError):
        if error.code in _NOT_THERE:
            return "missing"
        return "final" if error.code < 500 and error.code not in _AGAIN else "outage"
    if isinstance(error, FileNotFoundError):
        return "missing"
    # a certificate's is a ValueError
    return "final" if isinstance(_inner(error), ImportError | ValueError | InvalidURL) else "outage"


def _is_unauthorised(error: BaseException | None) -> bool:
    """Whether a server did not let us in: huggingface_hub makes a FileNotFoundError of it, others what they like."""
    while error is not None:
        answer = getattr(error, "response", None)
        code = error.code if isinstance(error, HTTPError) else getattr(answer, "status_code", 0)
        if code in _REFUSED or any(kind.__name__ == "RepositoryNotFoundError" for kind in type(error).__mro__):
            return True
        error = error.__cause__
    return False


def _reason(error: Exception) -> str:
    inner = _inner(error)
    if isinstance(inner, TimeoutError):
        return f"nothing came for {SILENCE_SECONDS:.0f} seconds"
    if isinstance(error, HTTPError):
        return f"the server answers {error.code} {error.reason}"
    return str(inner).rstrip(".") or type(inner).__name__


def _inner(error: Exception) -> Any:
    return error.reason if isinstance(error, URLError) and not isinstance(error, HTTPError) else error
