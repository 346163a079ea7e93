"""ws, the usual WebSocket client of Node, against the example `websocket`."""

import sys
from pathlib import Path

from checks import expect_in

HERE = Path(__file__).resolve().parent

sys.path.append(str(HERE.parent / "pages"))

from example import Example


def run(check, stage):
    example = Example(stage.example)
    try:
        url = f"ws://{example.address}/chat"
        check.relay(["node", HERE / "ws_client.mjs", url, "", Path(stage.scratch, "ws")])
        with check("the server has aborted nothing"):
            expect_in(", 0 aborted", example.stop(), "the example's output")
    finally:
        example.kill()
