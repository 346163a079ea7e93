"""websockets, a client of the example `websocket`, in which every client gets every message."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from checks import TIMEOUT, expect, expect_in, require

sys.path.append(str(Path(__file__).resolve().parent.parent / "pages"))

from example import Example

# The example refuses larger messages.
LARGEST = 64 * 1024


def run(check, stage):
    example = Example(stage.example)
    try:
        messages(check, example)
        ends(check, example)
        drain(check, example)
    finally:
        example.kill()


def connect(example, **options):
    # Imported late, because `run` may install it first.
    from websockets.sync.client import connect

    address = f"ws://{example.address}/chat"
    return connect(address, open_timeout=TIMEOUT, close_timeout=TIMEOUT, proxy=None, **options)


def messages(check, example):
    with check("text and bytes of up to 64 KiB come back"), connect(example) as socket:
        for length in (0, 1, 125, 126, 4096, 4097, 65_535, LARGEST):
            for message in ("x" * length, b"\xff" * length):
                socket.send(message)
                expect(socket.recv(TIMEOUT), message, "the message")
    with check("fragments come back as one message"), connect(example) as socket:
        socket.send(iter(["Hel", "", "lo ", "κόσμε"]))
        expect(socket.recv(TIMEOUT), "Hello κόσμε", "the message")
    with check("a hundred messages at once come back in order"), connect(example) as socket:
        for number in range(100):
            socket.send(f"{number}")
        found = [socket.recv(TIMEOUT) for _ in range(100)]
        expect(found, [f"{number}" for number in range(100)], "the messages")
    with check("pings are answered"), connect(example) as socket:
        require(socket.ping(b"payload").wait(TIMEOUT), "no pong arrives")
    with check("compression is not accepted"), connect(example, compression="deflate") as socket:
        extensions = socket.response.headers.get("sec-websocket-extensions")
        expect(extensions, None, "the extensions")
        socket.send("not compressed" * 100)
        expect(socket.recv(TIMEOUT), "not compressed" * 100, "the message")
    with check("fifty clients at once get what one of them says"):
        with ThreadPoolExecutor(50) as pool:
            sockets = list(pool.map(lambda _: connect(example), range(50)))
        # Whoever gets its own message has joined.
        for number, socket in enumerate(sockets):
            socket.send(f"join {number}")
            while socket.recv(TIMEOUT) != f"join {number}":
                pass
        sockets[0].send("to all")
        for socket in sockets:
            while socket.recv(TIMEOUT) != "to all":
                pass
            socket.close()


def expect_closed(socket, code):
    from websockets.exceptions import ConnectionClosed

    try:
        message = socket.recv(TIMEOUT)
    except ConnectionClosed:
        expect(socket.close_code, code, "the code")
    else:
        raise AssertionError(f"{message!r} arrives instead of the end")


def ends(check, example):
    from websockets.exceptions import InvalidStatus

    with check("a close is answered with its code"):
        for code in (1000, 1001, 3000, 4999):
            with connect(example) as socket:
                socket.close(code, "reason")
                expect(socket.close_code, code, "the code")
    with check("a message over the limit is refused"), connect(example) as socket:
        socket.send("x" * (LARGEST + 1))
        expect_closed(socket, 1009)
    with check("a page of another origin is refused"):
        try:
            connect(example, origin="https://elsewhere.example").close()
        except InvalidStatus as error:
            expect(error.response.status_code, 403, "the status")
        else:
            raise AssertionError("the WebSocket opens")


def drain(check, example):
    with check("a server that shuts down closes its clients"):
        sockets = [connect(example) for _ in range(3)]
        expect_in(", 0 aborted", example.stop(), "the example's output")
        for socket in sockets:
            expect_closed(socket, 1001)
