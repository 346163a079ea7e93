"""h2, a strict implementation for Python, on a socket of its own."""

import os
import socket
from dataclasses import dataclass, field

from checks import TIMEOUT, expect, require
from httpool import MAX_BODY, PAGE

FRAME_HEADER = 9
GOAWAY = 7


@dataclass
class Response:
    """What has been received on a stream."""

    # The headers of the interim responses and of the final one.
    interim: list = field(default_factory=list)
    headers: dict = field(default_factory=dict)
    body: bytes = b""
    ended: bool = False
    # The code of a reset.
    reset: int = None

    @property
    def status(self):
        return int(self.headers[b":status"])


class Connection:
    """A connection with several streams. Content that is received gets its window back at once,
    unless `holds_back` is set."""

    def __init__(self, port, **settings):
        # Imported late, because `run` may install it first.
        from h2 import events
        from h2.config import H2Configuration
        from h2.connection import H2Connection
        from h2.settings import SettingCodes, Settings

        self._events = events
        self.socket = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        self.state = H2Connection(H2Configuration(header_encoding=None))
        # As initial values, because h2 would apply later ones when they are acknowledged.
        values = {SettingCodes[name.upper()]: value for name, value in settings.items()}
        self.state.local_settings = Settings(client=True, initial_values=values)
        self.state.initiate_connection()
        self.responses = {}
        self.holds_back = False
        # What has arrived of a frame.
        self._partial = b""
        # The last stream in the last GOAWAY.
        self.last_stream = None
        self.pongs = 0
        self.is_closed = False
        self.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def start(self, method, path="/any", headers=(), ends=False):
        """Sends a head, and returns the number of the stream."""
        stream = self.state.get_next_available_stream_id()
        self.responses[stream] = Response()
        head = [(":method", method), (":path", path), (":scheme", "http"),
                (":authority", "localhost"), *headers]
        self.state.send_headers(stream, head, end_stream=ends)
        self.flush()
        return stream

    def get(self, path="/any"):
        return self.start("GET", path, ends=True)

    def send(self, stream, content, ends=False):
        """Sends content. Waits for windows, and stops early if the response has ended."""
        while content:
            response = self.responses[stream]
            if response.ended or response.reset is not None:
                return
            window = self.state.local_flow_control_window(stream)
            size = min(window, self.state.max_outbound_frame_size, len(content))
            if size == 0:
                self.receive()
                continue
            self.state.send_data(stream, content[:size])
            content = content[size:]
            self.flush()
        if ends:
            self.state.end_stream(stream)
            self.flush()

    def finish(self, *streams):
        """Waits until the responses of these streams have ended; returns them."""
        responses = [self.responses[stream] for stream in streams]
        while not all(response.ended or response.reset is not None for response in responses):
            require(not self.is_closed, "the server has closed the connection")
            self.receive()
        return responses

    def until(self, reached):
        while not reached():
            require(not self.is_closed, "the server has closed the connection")
            self.receive()

    def until_closed(self):
        while not self.is_closed:
            self.receive()

    def receive(self):
        data = self.socket.recv(65_536)
        if not data:
            self.is_closed = True
        for event in self.state.receive_data(self._without_goaway(data)):
            self._note(event)
        self.flush()

    def _without_goaway(self, data):
        """The complete frames in these bytes. h2 would process nothing behind a GOAWAY."""
        data, frames = self._partial + data, b""
        while len(data) >= FRAME_HEADER:
            end = FRAME_HEADER + int.from_bytes(data[:3], "big")
            if len(data) < end:
                break
            if data[3] == GOAWAY:
                self.last_stream = int.from_bytes(data[FRAME_HEADER:FRAME_HEADER + 4], "big")
            else:
                frames += data[:end]
            data = data[end:]
        self._partial = data
        return frames

    def flush(self):
        self.socket.sendall(self.state.data_to_send())

    def _note(self, event):
        events = self._events
        response = self.responses.get(getattr(event, "stream_id", None))
        if isinstance(event, events.InformationalResponseReceived):
            response.interim.append(dict(event.headers))
        elif isinstance(event, events.ResponseReceived):
            response.headers = dict(event.headers)
        elif isinstance(event, events.DataReceived):
            response.body += event.data
            if not self.holds_back and event.flow_controlled_length:
                self.state.acknowledge_received_data(
                    event.flow_controlled_length, event.stream_id)
        elif isinstance(event, events.StreamEnded):
            response.ended = True
        elif isinstance(event, events.StreamReset):
            response.reset = event.error_code
        elif isinstance(event, events.PingAckReceived):
            self.pongs += 1


def run(check, stage):
    with stage.server() as server:
        streams(check, server.port)
        flow_control(check, server.port)
        bodies(check, server.port)
        with check("the server exits with code 0, nothing aborted, no warning"):
            server.expect_clean_end()
    drain(check, stage)


def streams(check, port):
    with Connection(port) as client:
        with check("500 requests, 50 at once, get their own responses"):
            for _ in range(10):
                numbers = [client.start("POST") for _ in range(50)]
                # Backwards, so that the order of the bodies differs from that of the heads.
                for number in reversed(numbers):
                    client.send(number, b"%d" % number, ends=True)
                bodies = [response.body for response in client.finish(*numbers)]
                expect(bodies, [b"%d" % number for number in numbers], "the bodies")
        with check("bodies that arrive in turns on three streams come back"):
            content = {client.start("POST"): os.urandom(100_000) for _ in range(3)}
            for at in range(0, 100_000, 1000):
                for stream, body in content.items():
                    client.send(stream, body[at:at + 1000], ends=at == 99_000)
            bodies = [response.body for response in client.finish(*content)]
            expect(bodies, list(content.values()), "the bodies")
        with check("an upload that the client resets affects no other stream"):
            aborted, other = client.start("POST"), client.start("POST")
            client.send(aborted, b"not all of it")
            client.send(other, b"all of ")
            client.state.reset_stream(aborted, 8)
            client.send(other, b"it", ends=True)
            expect(client.finish(other)[0].body, b"all of it", "the body")
        with check("a PING is acknowledged while a request waits for its body"):
            stream = client.start("POST")
            client.state.ping(b"12345678")
            client.flush()
            client.until(lambda: client.pongs == 1)
            client.send(stream, b"later", ends=True)
            expect(client.finish(stream)[0].body, b"later", "the body")
        with check("a Cookie in several header lines is one header"):
            crumbs = [("cookie", f"name-{n}={n}") for n in range(20)]
            [response] = client.finish(client.start("GET", "/?headers", crumbs, ends=True))
            expect(response.status, 200, "the status")


def flow_control(check, port):
    body = os.urandom(300_000)
    with Connection(port, initial_window_size=1000) as client:
        with check("a response respects a window of 1,000 bytes"):
            stream = client.start("POST")
            client.send(stream, body, ends=True)
            expect(client.finish(stream)[0].body, body, "the body")
        with check("a response that the client does not read does not delay other streams"):
            client.holds_back = True
            held = client.start("POST")
            client.send(held, body[:5000], ends=True)
            client.until(lambda: len(client.responses[held].body) == 1000)
            others = [client.get() for _ in range(20)]
            expect([response.body for response in client.finish(*others)], [PAGE] * 20, "pages")
            expect(len(client.responses[held].body), 1000, "the bytes within the window")
            client.holds_back = False
            client.state.increment_flow_control_window(10_000, held)
            client.flush()
            expect(client.finish(held)[0].body, body[:5000], "the body")
    with Connection(port) as client:
        with check("a window that becomes negative and grows again loses nothing"):
            client.holds_back = True
            stream = client.start("POST")
            client.send(stream, body, ends=True)
            client.until(lambda: len(client.responses[stream].body) == 65_535)
            client.state.update_settings({4: 10})
            client.flush()
            client.holds_back = False
            client.state.acknowledge_received_data(65_535, stream)
            client.state.update_settings({4: 65_535})
            client.flush()
            expect(client.finish(stream)[0].body, body, "the body")


def bodies(check, port):
    with Connection(port) as client:
        with check("`Expect: 100-continue` gets a 100 before the body is sent"):
            stream = client.start("POST", headers=[("expect", "100-continue")])
            client.until(lambda: client.responses[stream].interim)
            client.send(stream, b"hello", ends=True)
            [response] = client.finish(stream)
            expect((response.interim[0][b":status"], response.body), (b"100", b"hello"), "response")
        with check("trailers of a request are accepted, and do not become headers"):
            stream = client.start("POST", headers=[("te", "trailers")])
            client.send(stream, b"content")
            client.state.send_headers(stream, [("x-checksum", "1")], end_stream=True)
            client.flush()
            [response] = client.finish(stream)
            expect((response.status, response.body), (200, b"content"), "the response")
        with check("HEAD has GET's Content-Length and no body"):
            [response] = client.finish(client.start("HEAD", ends=True))
            expect((response.headers[b"content-length"], response.body),
                   (b"%d" % len(PAGE), b""), "the response")
        with check("a body over the limit gets a 413, and the connection stays usable"):
            for headers in ([("content-length", str(MAX_BODY + 1))], []):
                stream = client.start("POST", headers=headers)
                client.send(stream, bytes(MAX_BODY + 1), ends=True)
                [response] = client.finish(stream)
                expect((response.status, response.body[:3]), (413, b"413"), "the response")
            expect(client.finish(client.get())[0].body, PAGE, "the page")


def drain(check, stage):
    """A server that shuts down while requests are open."""
    with stage.server() as server, Connection(server.port) as client:
        with check("a server that shuts down completes open requests, and refuses none before"):
            first, second = client.start("POST"), client.start("POST")
            client.send(first, b"first")
            # The response shows that the server has read the heads before.
            client.finish(client.get())
            server.terminate()
            client.until(lambda: client.last_stream is not None)
            expect(client.last_stream, 2**31 - 1, "the last stream in the first GOAWAY")
            client.send(second, b"second", ends=True)
            client.send(first, b" request", ends=True)
            bodies = [response.body for response in client.finish(first, second)]
            expect(bodies, [b"first request", b"second"], "the bodies")
            client.until_closed()
            expect(client.last_stream, max(client.responses), "the last stream in the last GOAWAY")
            report = server.wait_for_end()
            expect((report.answered, report.aborted), (3, 0), "responses and aborted requests")
            server.expect_clean_end()
    with stage.server() as server, Connection(server.port) as client:
        with check("a server that shuts down closes an idle connection after a GOAWAY"):
            client.finish(client.get())
            server.terminate()
            client.until_closed()
            expect(client.last_stream, 1, "the last stream in the last GOAWAY")
            server.wait_for_end()
            server.expect_clean_end()
