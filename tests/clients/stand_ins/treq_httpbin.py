"""A plugin that gives treq's tests a server that already runs."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from treq.test.local_httpbin.parent import _HTTPBinProcess
from treq.test.local_httpbin.shared import _HTTPBinDescription
from twisted.internet.defer import succeed


def server_description(process, reactor):
    url = urlsplit(os.environ["HTTPBIN_SECURE_URL" if process._https else "HTTPBIN_URL"])
    certificate = Path(os.environ["HTTPBIN_CA"]).read_text() if process._https else None
    return succeed(_HTTPBinDescription(url.hostname, url.port, certificate))


_HTTPBinProcess.server_description = server_description
