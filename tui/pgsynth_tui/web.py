"""``pgsynth tui --web``: the same app in a browser, through textual-serve, for this machine and this user alone.

Whoever opens the page can do what the user can: train, delete, install. textual-serve asks nobody who they are, and
a page of any site may open a websocket to 127.0.0.1. So:

- it listens on 127.0.0.1 only;
- every address begins with a random word, which is printed and nowhere else: other users of the machine, and other
  pages, do not know it;
- a Host that is not this machine's name is refused: no other name can be made to point here (DNS rebinding);
- an Origin that is not the page's own is refused: no other site's page can drive it.

Downloads alone have no word before them, as the page's script asks for them so: each has a random name of its own.
Each page is a process of the app, which ends with the page; what it began to train goes on.
"""

from __future__ import annotations

import asyncio
import errno
import hmac
import secrets
import shlex
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final, cast
from urllib.parse import urlsplit

from aiohttp import web
from textual_serve.app_service import AppService
from textual_serve.server import Server, to_int

from pgsynth_core.cli.console import tell
from pgsynth_core.errors import UserError

__all__ = ["HOST", "PORT", "PgsynthServer", "bound", "serve"]

HOST: Final = "127.0.0.1"
PORT: Final = 8000
_NAMES: Final = (HOST, "localhost", "::1")
"""What this machine calls itself; any port, for that of a tunnel's other end may be another."""
_CLOSING: Final = 5.0
"""Seconds that open pages have to end when the server does."""
_HEADERS: Final = {
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # No frame of another page around it; no fonts or styles from elsewhere: it works without a network, tells nobody.
    "Content-Security-Policy": (
        "frame-ancestors 'none'; style-src 'self' 'unsafe-inline'; font-src 'self' data:; img-src 'self' data:"
    ),
}

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _Page(AppService):
    """textual-serve's process of one page, without the shell that it would start it in, and never left to itself."""

    words: tuple[str, ...] = ()

    def _build_environment(self, width: int = 80, height: int = 24) -> dict[str, str]:
        """The page is the terminal, and not the one that the server was started in."""
        environ = super()._build_environment(width, height)
        for name in ("KITTY_WINDOW_ID", "TMUX", "NO_COLOR"):
            environ.pop(name, None)
        return environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor"}

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Process:
        pipe = asyncio.subprocess.PIPE
        environ = self._build_environment(width=width, height=height)
        process = await asyncio.create_subprocess_exec(*self.words, stdin=pipe, stdout=pipe, stderr=pipe, env=environ)
        self._process, self._stdin = process, process.stdin
        return process

    async def run(self) -> None:
        """Hand on what the app draws; a page whose app has ended, however it did, is closed. An app whose page broke
        off is told to end, and what it draws until then is read: if nobody did, it could not write on, nor so end.
        """
        await super().run()
        if self._process:
            quitting = self.send_meta({"type": "quit"})  # what it draws is read meanwhile, or it may not read this
            await asyncio.gather(quitting, _drained(self._process.stdout), _drained(self._process.stderr))
            await self._process.wait()
        await self.remote_close()

    async def stop(self) -> None:
        """Ask the app to end, and wait for it; end it, if it does not."""
        asked = asyncio.ensure_future(super().stop())
        try:
            await asyncio.wait({asked}, timeout=_CLOSING)
        finally:  # also where nobody waits for it any more
            if self._process and self._process.returncode is None:
                with suppress(ProcessLookupError):
                    self._process.kill()
        await asyncio.wait({asked}, timeout=_CLOSING)  # no longer: the server's end waits for this
        if asked.done():
            with suppress(ConnectionError):  # it was gone before it could be asked
                asked.result()


async def _drained(stream: asyncio.StreamReader | None) -> None:
    """Read to its end, and keep nothing."""
    while stream and await stream.read(2**16):
        pass


class PgsynthServer(Server):
    """textual-serve, guarded.

    Args:
        words: The command of the app, one word each; no shell takes any of them apart.

    Attributes:
        token: The random word that every address begins with.
    """

    def __init__(self, words: Sequence[str]) -> None:
        super().__init__(shlex.join(words), host=HOST, title="pgsynth")
        self._words = tuple(words)
        self._ending = set[asyncio.Future[None]]()
        self.token = secrets.token_urlsafe(24)

    async def application(self) -> web.Application:
        """Everything below the random word, and the guard before it."""
        outer = web.Application(middlewares=[self._guard])
        outer.on_response_prepare.append(_with_headers)
        outer.on_cleanup.append(self._ended)
        outer.add_routes([web.get("/download/{key}", self.handle_download)])
        outer.add_subapp(f"/{self.token}", await self._make_app())
        return outer

    async def on_startup(self, app: web.Application) -> None:
        """Whoever starts it says where it is."""

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        self._refuse(request)
        return await handler(request)

    def _refuse(self, request: web.Request) -> None:
        """Whoever is not the user, with a sentence.

        Raises:
            HTTPForbidden: If they are not.
        """
        if _name(f"//{request.host}") not in _NAMES:
            raise web.HTTPForbidden(text=f"{request.host!r} is no name of this machine: open http://{HOST}:PORT/...\n")
        origin = request.headers.get("Origin")
        if origin is not None and origin != f"http://{request.host}":
            raise web.HTTPForbidden(text="a page of another site may not use this.\n")
        first = request.path.removeprefix("/").partition("/")[0]  # there is no slash in that of OPTIONS *
        if not hmac.compare_digest(first.encode(), self.token.encode()) and first != "download":
            raise web.HTTPForbidden(text="open the whole address that pgsynth tui --web printed.\n")

    async def handle_index(self, request: web.Request) -> Any:
        """The page, whose addresses are those that it was asked for by: a tunnel's other end has another port."""
        self.public_url = f"http://{request.host}"  # nothing is waited for until the page has been made
        return await super().handle_index(request)

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """A page: a process of the app, until either ends."""
        page = web.WebSocketResponse(heartbeat=15)
        await page.prepare(request)

        async def close() -> None:
            await page.close()

        app = _Page(
            self.command,
            write_bytes=page.send_bytes,
            write_str=page.send_str,
            close=close,
            download_manager=self.download_manager,
        )
        app.words = self._words
        size = (to_int(request.query.get(name, ""), least) for name, least in (("width", 80), ("height", 24)))
        await app.start(*size)
        try:
            await self._process_messages(page, app)
        finally:
            ending = asyncio.ensure_future(app.stop())  # a page that is gone cancels this, and not the app's last words
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)
            await asyncio.shield(ending)
        return page

    async def _ended(self, app: web.Application) -> None:
        """Wait for the apps of pages that were just closed."""
        await asyncio.gather(*self._ending, return_exceptions=True)


async def _with_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Of everything, downloads too."""
    response.headers.update(_HEADERS)


def _name(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def bound(port: int) -> socket.socket:
    """A socket of this machine alone.

    Args:
        port: Which; 0 for any that is free.

    Raises:
        UserError: If it is taken, or not for this user.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen()
    except (OSError, OverflowError) as error:
        listening.close()
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        why = "another program listens there" if taken else f"{getattr(error, 'strerror', None) or error}".rstrip(".")
        cure = "Give another port: --port 8001, or --port 0 for any that is free."
        raise UserError(f"port {port} cannot be used: {why}.", where="argument --port", cure=cure) from error
    return listening


def serve(words: Sequence[str], port: int) -> None:
    """Serve the app until Ctrl-C.

    Args:
        words: What is given to ``pgsynth tui`` besides.
        port: Where; 0 for any that is free.

    Raises:
        UserError: As `bound`.
    """
    server = PgsynthServer([sys.executable, "-P", "-m", "pgsynth_core", "tui", *words])
    with bound(port) as listening:
        port = cast("int", listening.getsockname()[1])
        tell(f"pgsynth is at http://{HOST}:{port}/{server.token}/")
        tell("Whoever has that address can do what you can: keep it to yourself.")
        tell(f"From another machine: ssh -L {port}:{HOST}:{port} {socket.gethostname()}, then open the same address.")
        tell("A page that is closed ends nothing that trains. Ctrl-C ends this.")
        web.run_app(
            server.application(), sock=listening, shutdown_timeout=_CLOSING, access_log=None, print=lambda *said: None
        )
