"""Screenshots of the live page."""

import json
import time

from inspect_server import open_page, press

ORDER = {
    "id": "evt_1042", "type": "order.paid", "amount": 18.20,
    "items": [{"sku": "tea-250", "count": 2}, {"sku": "cake", "count": 1}],
    "customer": {"name": "Ada", "vip": True},
}


def take(server, browser, folder):
    """Screenshots of usual requests in both themes and on a phone."""
    folder.mkdir(exist_ok=True)
    server.send("GET", "/anything?page=2&sort=name")
    server.send("PUT", "/users/7", b"name=Ada&language=en",
                Content_Type="application/x-www-form-urlencoded")
    server.send("DELETE", "/users/7", Fault="status=503,delay=20ms")
    hook = {"Content_Type": "application/json", "Authorization": "Bearer abc"}
    server.send("POST", "/webhooks/orders", json.dumps(ORDER).encode(), User_Agent="Shop/2.1", **hook)
    ORDER["items"].pop()
    server.send("POST", "/webhooks/orders", json.dumps(ORDER).encode(), User_Agent="Shop/2.2", **hook)
    first = json.loads(server.send("GET", "/inspect/api/requests")[1])[0]["id"]

    def picture(name, path, compare=False, **settings):
        open_page(browser, server.url + path, **settings)
        time.sleep(0.5)
        if compare:
            browser.evaluate("document.getElementById('list').focus()")
            press(browser, "c")
            press(browser, "k")
            time.sleep(3.5)
        (folder / f"inspect-{name}.png").write_bytes(browser.screenshot())

    request = f"/inspect/r/{first + 3}"
    picture("light", request, width=1100, height=600)
    picture("dark", request, scheme="dark", width=1100, height=600)
    picture("compare", request, compare=True, scheme="dark", width=1100, height=600)
    picture("phone-list", "/inspect", width=360, height=640)
    picture("phone", request, scheme="dark", width=360, height=640)
