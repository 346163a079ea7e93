"""grpcio, which calls the example `grpc`."""

import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from checks import TIMEOUT, expect, expect_in, require

sys.path.append(str(Path(__file__).resolve().parent.parent / "pages"))

from example import Example

SERVICE = "/helloworld.Greeter"

# The tag of field 1 with a text.
TEXT = b"\x0a"

# Not a message of protocol buffers.
MALFORMED = "malformed"


def encode(name):
    """A message with this text in field 1."""
    if name is MALFORMED:
        return b"\xff"
    text, length = name.encode(), b""
    left = len(text)
    while left >= 0x80:
        length += bytes([left & 0x7f | 0x80])
        left >>= 7
    return TEXT + length + bytes([left]) + text


def decode(message):
    require(message.startswith(TEXT), f"the message begins with {message[:1]}")
    end = next(at for at in range(1, len(message)) if message[at] < 0x80) + 1
    length = sum((byte & 0x7f) << (7 * at) for at, byte in enumerate(message[1:end]))
    expect(len(message) - end, length, "the length of the text")
    return message[end:].decode()


class Greeter:
    """A client of the service, on a connection of its own."""

    def __init__(self, address):
        # Imported late, because `run` may install it first.
        import grpc

        options = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]
        self._channel = grpc.insecure_channel(address, options)
        codec = {"request_serializer": encode, "response_deserializer": decode}
        self.say_hello = self._channel.unary_unary(f"{SERVICE}/SayHello", **codec)
        self.say_goodbye = self._channel.unary_unary(f"{SERVICE}/SayGoodbye", **codec)
        self.stream = self._channel.unary_stream(f"{SERVICE}/SayHelloStreamReply", **codec)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._channel.close()

    def hello(self, name, **options):
        return self.say_hello(name, timeout=TIMEOUT, **options)


def replies(name):
    return [f"Hello, {name}! ({number} of 5)" for number in range(1, 6)]


@contextmanager
def expect_status(name):
    import grpc

    try:
        yield
    except grpc.RpcError as error:
        expect(error.code().name, name, f"the status ({error.details()})")
    else:
        raise AssertionError(f"the call succeeds instead of {name}")


def run(check, stage):
    example = Example(stage.example)
    try:
        with Greeter(example.address) as greeter:
            one_reply(check, greeter)
            streams(check, greeter)
            errors(check, greeter)
            drain(check, greeter, example)
    finally:
        example.kill()


def one_reply(check, greeter):
    with check("a call gets its reply"):
        reply, call = greeter.say_hello.with_call("Ada", timeout=TIMEOUT)
        expect((reply, call.code().name), ("Hello, Ada!", "OK"), "reply and status")
    with check("500 calls, one after another"):
        for number in range(500):
            expect(greeter.hello(f"{number}"), f"Hello, {number}!", "the reply")
    with check("1000 calls of 50 threads get their own replies"):
        with ThreadPoolExecutor(50) as pool:
            found = list(pool.map(lambda number: greeter.hello(f"{number}"), range(1000)))
        expect(found, [f"Hello, {number}!" for number in range(1000)], "the replies")
    with check("100 calls at once get their own replies"):
        pending = [greeter.say_hello.future(f"{number}", timeout=TIMEOUT) for number in range(100)]
        found = [call.result() for call in pending]
        expect(found, [f"Hello, {number}!" for number in range(100)], "the replies")
    with check("names of up to 4,000,000 letters"):
        for length in (0, 1, 127, 128, 16_384, 1_000_000, 4_000_000):
            expect(greeter.hello("é" * (length // 2)), f"Hello, {'é' * (length // 2)}!", "reply")
    with check("metadata of the client is accepted"):
        metadata = [(f"x-header-{n}", "value") for n in range(40)] + [("x-bytes-bin", b"\0\xff")]
        expect(greeter.hello("Ada", metadata=metadata), "Hello, Ada!", "the reply")


def streams(check, greeter):
    with check("a stream of replies arrives, and then the status"):
        call = greeter.stream("Ada", timeout=TIMEOUT)
        expect(list(call), replies("Ada"), "the replies")
        expect(call.code().name, "OK", "the status")
    with check("four streams at once, and calls beside them"):
        calls = [greeter.stream(f"{number}", timeout=TIMEOUT) for number in range(4)]
        for number in range(50):
            expect(greeter.hello(f"{number}"), f"Hello, {number}!", "the reply")
        for number, call in enumerate(calls):
            expect(list(call), replies(number), "the replies")
    with check("streams that the client cancels affect no other call"):
        for number in range(20):
            call = greeter.stream("Ada", timeout=TIMEOUT)
            expect(next(call), replies("Ada")[0], "the first reply")
            call.cancel()
        expect(greeter.hello("Ada"), "Hello, Ada!", "the reply")
        expect(list(greeter.stream("Ada", timeout=TIMEOUT)), replies("Ada"), "the replies")


def errors(check, greeter):
    import grpc

    with check("a stream that takes longer than its deadline fails, and no other call"):
        with expect_status("DEADLINE_EXCEEDED"):
            list(greeter.stream("Ada", timeout=0.15))
        expect(greeter.hello("Ada"), "Hello, Ada!", "the reply")
    with check("an unknown method is UNIMPLEMENTED"), expect_status("UNIMPLEMENTED"):
        greeter.say_goodbye("Ada", timeout=TIMEOUT)
    with check("a malformed message is INVALID_ARGUMENT, with the reason"):
        with expect_status("INVALID_ARGUMENT"):
            try:
                greeter.hello(MALFORMED)
            except grpc.RpcError as error:
                expect_in("the message is malformed", error.details(), "the reason")
                raise
    with check("a compressed message is UNIMPLEMENTED"), expect_status("UNIMPLEMENTED"):
        greeter.hello("Ada" * 1000, compression=grpc.Compression.Gzip)
    with check("calls after errors get their replies"):
        expect(greeter.hello("Ada"), "Hello, Ada!", "the reply")


def drain(check, greeter, example):
    with check("a server that shuts down completes an open stream, and aborts nothing"):
        call = greeter.stream("Ada", timeout=TIMEOUT)
        first = next(call)
        report = example.stop()
        expect([first, *call], replies("Ada"), "the replies")
        expect(call.code().name, "OK", "the status")
        expect_in(", 0 aborted", report, "the example's output")
    with check("a call to a server that has shut down is UNAVAILABLE"):
        with expect_status("UNAVAILABLE"):
            greeter.hello("Ada")
