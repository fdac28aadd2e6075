"""The app in a browser: who is let in, what they see, and that nothing is left of a page but what it began to train."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import ClientSession, WSMsgType, WSServerHandshakeError
from aiohttp.test_utils import TestClient, TestServer

from pgsynth_core.errors import UserError
from pgsynth_core.runs import status_of
from pgsynth_tui import command, web
from pgsynth_tui.stores.pictures import image_mode
from pgsynth_tui.web import HOST, PgsynthServer, bound

from ..fixtures.terminals import CODES
from .conftest import make_run

Talk = Callable[[TestClient[Any, Any], PgsynthServer], Awaitable[None]]


def talk(scenario: Talk, *words: str) -> None:
    """Serve a command and talk to the server as a browser would."""

    async def whole() -> None:
        server = PgsynthServer(words or (sys.executable, "-c", "pass"))
        async with asyncio.timeout(60), TestClient(TestServer(await server.application(), host=HOST)) as client:
            await scenario(client, server)

    asyncio.run(whole())


# ------------------------------------------------------------------------------------------- who is let in
def test_the_page_is_there_for_who_knows_its_address() -> None:
    async def scenario(client: TestClient[Any, Any], server: PgsynthServer) -> None:
        page = await client.get(f"/{server.token}/")
        text = await page.text()
        assert (
            page.status == 200 and f'data-session-websocket-url="ws://{HOST}:{client.port}/{server.token}/ws"' in text
        )
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
        script = await client.get(f"/{server.token}/static/js/textual.js")
        assert script.status == 200

    talk(scenario)


@pytest.mark.parametrize(
    "path", ["/", "/ws", "/static/js/textual.js", "/{wrong}/", "/{wrong}/ws", "/{half}/", "/x//ws", "/download"]
)
def test_nobody_else_is_let_in(path: str) -> None:
    async def scenario(client: TestClient[Any, Any], server: PgsynthServer) -> None:
        written = path.format(wrong="x" * len(server.token), half=server.token[:-1])
        refused = await client.get(written)
        assert refused.status in (403, 404) and server.token not in await refused.text()
        assert refused.status == 404 or "the whole address" in await refused.text()

    talk(scenario)


@pytest.mark.parametrize(
    ("headers", "fits"),
    [
        ({}, True),  # no browser: who knows the address
        ({"Origin": "http://{host}"}, True),
        ({"Host": "localhost:9000", "Origin": "http://localhost:9000"}, True),  # through a tunnel
        ({"Host": "[::1]:9000"}, True),
        ({"Origin": "https://{host}"}, False),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "http://localhost:3000"}, False),  # another program's page on this machine
        ({"Origin": "null"}, False),
        ({"Host": "evil.example"}, False),  # a name that was made to point here
        ({"Host": "127.0.0.1.evil.example:8000"}, False),
        ({"Host": "evil.example", "Origin": "http://evil.example"}, False),
    ],
)
def test_a_page_of_another_site_cannot_use_it(headers: dict[str, str], fits: bool) -> None:
    async def scenario(client: TestClient[Any, Any], server: PgsynthServer) -> None:
        given = {name: value.format(host=f"{HOST}:{client.port}") for name, value in headers.items()}
        page = await client.get(f"/{server.token}/", headers=given)
        assert page.status == (200 if fits else 403)
        if fits:
            await (await client.ws_connect(f"/{server.token}/ws", headers=given)).close()
        else:
            with pytest.raises(WSServerHandshakeError) as refused:
                await client.ws_connect(f"/{server.token}/ws", headers=given)
            assert refused.value.status == 403
        if fits and "Host" in given:
            assert f"ws://{given['Host']}/{server.token}/ws" in await page.text(), "the tunnel's end, not ours"

    talk(scenario)


def test_a_request_without_a_path_is_refused_like_any_other() -> None:
    async def scenario(client: TestClient[Any, Any], server: PgsynthServer) -> None:
        reader, writer = await asyncio.open_connection(HOST, client.port)
        writer.write(f"OPTIONS * HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        assert (await reader.readline()).split()[1] in (b"403", b"404")
        writer.close()

    talk(scenario)


def test_a_download_is_found_by_its_own_name_alone() -> None:
    async def scenario(client: TestClient[Any, Any], server: PgsynthServer) -> None:
        assert (await client.get("/download/unknown")).status == 404
        refused = await client.get("/download/unknown", headers={"Host": "evil.example"})
        assert refused.status == 403

    talk(scenario)


def test_a_download_is_nothing_but_what_it_says_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(client: TestClient[Any, Any], server: PgsynthServer) -> None:
        async def about(key: str) -> SimpleNamespace:
            return SimpleNamespace(mime_type="image/png", encoding=None, open_method="browser", file_name="a.png")

        async def pieces(key: str) -> AsyncIterator[bytes]:
            yield b"<script>"

        monkeypatch.setattr(server.download_manager, "get_download_metadata", about)
        monkeypatch.setattr(server.download_manager, "download", pieces)
        got = await client.get("/download/known")
        assert (got.status, await got.read(), got.content_type) == (200, b"<script>", "image/png")
        assert got.headers["X-Content-Type-Options"] == "nosniff" and "Content-Security-Policy" in got.headers

    talk(scenario)


def test_an_app_that_hangs_is_ended_with_its_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "_CLOSING", 0.2)
    told = tmp_path / "told"

    async def scenario(client: TestClient[Any, Any], server: PgsynthServer) -> None:
        async with client.ws_connect(f"/{server.token}/ws"):
            (pid,) = await written(told)
        assert await gone(int(pid))

    hangs = f"import os, time; open({str(told)!r}, 'w').write(str(os.getpid())); print('__GANGLION__', flush=True)"
    talk(scenario, sys.executable, "-c", f"{hangs}; time.sleep(600)")


DRAWS = """
import os, sys, threading, time
told, ends = sys.argv[1], sys.argv[2] == "True"

def listen():
    heard = b""
    while b'"quit"' not in heard:
        heard += os.read(0, 1024) or time.sleep(600)  # as Textual, it does not end with what it reads
    print("quit", file=open(told, "a"))
    if ends:
        os._exit(0)

print(os.getpid(), file=open(told, "a"))
threading.Thread(target=listen).start()
left = b"__GANGLION__\\n"
while True:
    left = left[os.write(1, left):] or b"D" + (60000).to_bytes(4, "big") + bytes(60000)
"""
"""An app that draws without end; that it is to end, it hears, and does so or not."""


async def written(told: Path) -> list[str]:
    """What an app wrote down, as soon as there is any."""
    while not (told.exists() and told.read_text(encoding="utf-8")):
        await asyncio.sleep(0.05)
    return told.read_text(encoding="utf-8").split()


def test_an_app_whose_page_breaks_off_is_told_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(page: object, payload: bytes) -> None:
        raise ConnectionResetError("before anything else is known of it")

    monkeypatch.setattr(web._Page, "on_data", broken)
    told = tmp_path / "told"

    async def scenario(client: TestClient[Any, Any], server: PgsynthServer) -> None:
        async with client.ws_connect(f"/{server.token}/ws"):
            (pid, *_) = await written(told)
            assert await gone(int(pid), 20)
        assert await written(told) == [pid, "quit"]

    talk(scenario, sys.executable, "-c", DRAWS, str(told), "True")


def test_an_app_that_draws_on_without_its_page_does_not_hold_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "_CLOSING", 0.5)
    told = tmp_path / "told"

    async def scenario(client: TestClient[Any, Any], server: PgsynthServer) -> None:
        reader, writer = await asyncio.open_connection(HOST, client.port)
        asked = f"GET /{server.token}/ws HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        writer.write(f"{asked}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {'A' * 22}==\r\n\r\n".encode())
        await reader.readexactly(10**6)
        writer.transport.abort()
        assert await gone(int((await written(told))[0]))

    talk(scenario, sys.executable, "-c", DRAWS, str(told), "False")


def test_the_words_of_the_command_reach_it_as_they_are(tmp_path: Path) -> None:
    words = ["--runs", str(tmp_path / "a b'c\"; touch $(x) `y` \\ *"), "", "--ascii\n"]
    told = tmp_path / "told"

    async def scenario(client: TestClient[Any, Any], server: PgsynthServer) -> None:
        async with client.ws_connect(f"/{server.token}/ws"):
            for _ in range(600):
                if told.exists() and told.read_text(encoding="utf-8") == repr(words):
                    return
                await asyncio.sleep(0.05)
        raise AssertionError(told.read_text(encoding="utf-8"))

    script = f"import sys; open({str(told)!r}, 'w', encoding='utf-8').write(repr(sys.argv[1:]))"
    talk(scenario, sys.executable, "-c", script, *words)


def test_the_page_is_the_terminal_and_closes_with_the_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"KITTY_WINDOW_ID": "1", "TERM": "xterm-kitty", "TMUX": "x", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    told = tmp_path / "told"

    async def scenario(client: TestClient[Any, Any], server: PgsynthServer) -> None:
        async with client.ws_connect(f"/{server.token}/ws?width=99&height=x") as page:
            closed = await asyncio.wait_for(page.receive(), 30)
            assert closed.type in (WSMsgType.CLOSE, WSMsgType.CLOSED)

    talk(scenario, sys.executable, "-c", f"import json, os; json.dump(dict(os.environ), open({str(told)!r}, 'w'))")
    environ = json.loads(told.read_text(encoding="utf-8"))
    assert image_mode(environ).mode == "cells" and "24-bit" in image_mode(environ).words
    assert (environ["COLUMNS"], environ["ROWS"]) == ("99", "24")


def test_two_servers_have_two_addresses() -> None:
    one, other = PgsynthServer(["x"]), PgsynthServer(["x"])
    assert one.token != other.token and len(one.token) >= 32


def test_only_this_machine_can_reach_it_and_a_taken_port_is_told() -> None:
    with bound(0) as listening:
        host, port = listening.getsockname()
        assert host == "127.0.0.1"
        listening.listen()
        with pytest.raises(UserError, match=f"port {port} cannot be used: another program listens there") as caught:
            bound(port)
        assert "--port 0" in caught.value.problems[0].cure
    with pytest.raises(UserError, match="port 65536"):
        bound(65536)


# ------------------------------------------------------------------------------------------- the command
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--port", "8001"], "Add --web."),
        (["--web", "--port", "x"], "no whole number"),
        (["--web", "--prot", "1"], "--port"),
    ],
)
def test_wrong_words_are_refused(words: list[str], says: str) -> None:
    with pytest.raises(UserError) as caught:
        command.main(words)
    assert says in str(caught.value) and caught.value.exit_code == 2


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "textual_serve" else there(name))
    with pytest.raises(UserError, match="needs textual-serve") as caught:
        command.main(["--web"])
    assert caught.value.problems[0].cure == 'Install it: pip install "pgsynth[web]".'


# ------------------------------------------------------------------------------------------- as a whole
@pytest.fixture
def served(tmp_path: Path, repository: Path) -> Iterator[Callable[..., tuple[subprocess.Popen[str], str]]]:
    """Start ``pgsynth tui --web`` without a terminal: its process, and the address that it says."""
    paths = os.pathsep.join(map(str, (repository, repository / "plugins", repository / "tui")))
    started: list[subprocess.Popen[str]] = []

    def serve(*words: str) -> tuple[subprocess.Popen[str], str]:
        line = [sys.executable, "-P", "-m", "pgsynth_core", "tui", "--web", "--port", "0", *words]
        server = subprocess.Popen(
            line,
            env={**os.environ, "PYTHONPATH": paths},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(server)
        assert server.stderr
        for told in server.stderr:
            if match := re.search(r"http://127\.0\.0\.1:\d+/\S+/", told):
                return server, match[0]
        raise AssertionError("it said no address")

    yield serve
    for server in started:
        server.kill()
        server.wait()
        assert server.stderr
        server.stderr.close()


def children(pid: int) -> list[int]:
    """Processes that a process started and that live."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


async def gone(pid: int, seconds: float = 30.0) -> bool:
    """Whether a process ends."""
    for _ in range(int(seconds / 0.05)):
        try:
            if Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except OSError:
            return True
        await asyncio.sleep(0.05)
    return False


async def seen(page: Any, words: str, seconds: float = 60.0) -> str:
    """What is drawn until some words are."""
    drawn = b""
    async with asyncio.timeout(seconds):
        async for message in page:
            drawn += message.data if message.type == WSMsgType.BINARY else b""
            if re.search(words, text := CODES.sub(b"", drawn).decode("utf-8", "replace")):
                return text
    raise AssertionError(f"it was closed: {drawn!r}")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="processes are looked up in /proc")
def test_a_page_is_the_app_and_its_end_ends_nothing_that_trains(served: Callable[..., Any], tmp_path: Path) -> None:
    root = tmp_path / "runs of 'me' \"$HOME\""
    live = make_run(root, "live", 3)
    server, address = served("--runs", str(root))

    async def whole() -> None:
        async with ClientSession() as browser:
            async with browser.get(address) as page:
                (url,) = re.findall(r'data-session-websocket-url="([^"]+)"', await page.text())
            async with browser.ws_connect(f"{url}?width=120&height=36") as page:
                await page.send_json(["resize", {"width": 120, "height": 36}])
                await seen(page, "Compose")
                (app,) = children(server.pid)
                assert b"web_driver" in Path(f"/proc/{app}/environ").read_bytes()
                await page.send_json(["stdin", "2"])
                await seen(page, live.id)
            assert await gone(app), "the page is closed"
            assert server.poll() is None and status_of(live).state == "running"

            async with browser.ws_connect(url) as page:
                await seen(page, "Runs")
                (app,) = children(server.pid)
                server.send_signal(signal.SIGINT)
                assert await gone(app) and await asyncio.to_thread(server.wait, 30) == 0

    asyncio.run(whole())


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="processes are looked up in /proc")
def test_a_server_that_is_killed_leaves_no_app_behind(served: Callable[..., Any]) -> None:
    server, address = served()

    async def whole() -> None:
        async with ClientSession() as browser, browser.ws_connect(f"{address}ws") as page:
            await seen(page, "Compose")
            (app,) = children(server.pid)
            server.kill()
            assert await gone(app)

    asyncio.run(whole())


@pytest.mark.slow
def test_a_port_that_is_taken_is_told_with_a_cure(repository: Path) -> None:
    paths = os.pathsep.join(map(str, (repository, repository / "plugins", repository / "tui")))
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        line = [sys.executable, "-P", "-m", "pgsynth_core", "tui", "--web", "--port", str(taken.getsockname()[1])]
        done = subprocess.run(
            line, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False
        )
    assert done.returncode == 2 and "another program listens there" in done.stderr and "--port 8001" in done.stderr
