"""Stands in for httpbin where its own tests import it: requests go to a server that already runs.

Its other modules are those of httpbin.
"""

import json
import os
from http.client import HTTPConnection
from urllib.parse import urlsplit

from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

__path__.append(os.environ["HTTPBIN_SOURCE"])


class Response:
    """A response, with the members of Flask's that the tests use."""

    def __init__(self, response):
        self.status_code = response.status
        self.headers = Headers(response.getheaders())
        self.data = response.read()
        length = self.headers.get("Content-Length")
        self.content_length = None if length is None else int(length)
        self.content_type = self.headers.get("Content-Type")

    def get_data(self):
        return self.data

    @property
    def json(self):
        return json.loads(self.data)


class TestClient:
    """Flask's test client over a socket."""

    def open(self, path, method="GET", **options):
        builder = EnvironBuilder(path=path, method=method, **options)
        environment = builder.get_environ()
        body = environment["wsgi.input"].read()
        headers = Headers([pair for pair in builder.headers if pair[0]])
        headers.setdefault("Host", "localhost")
        if environment.get("CONTENT_TYPE"):
            headers.setdefault("Content-Type", environment["CONTENT_TYPE"])
        if body and "Transfer-Encoding" not in headers:
            headers.setdefault("Content-Length", str(len(body)))
        connection = HTTPConnection(urlsplit(os.environ["HTTPBIN_URL"]).netloc, timeout=20)
        try:
            connection.putrequest(method, environment["REQUEST_URI"], skip_host=True,
                                  skip_accept_encoding=True)
            for name, value in headers:
                connection.putheader(name, value)
            connection.endheaders(body)
            return Response(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, **options):
        return self.open(path, **options)

    def post(self, path, **options):
        return self.open(path, method="POST", **options)

    def put(self, path, **options):
        return self.open(path, method="PUT", **options)

    def delete(self, path, **options):
        return self.open(path, method="DELETE", **options)

    def patch(self, path, **options):
        return self.open(path, method="PATCH", **options)


class app:
    test_client = TestClient
