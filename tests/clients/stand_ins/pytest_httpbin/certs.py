"""The certificate of the server."""

import os


def where():
    return os.environ["HTTPBIN_CA"]
