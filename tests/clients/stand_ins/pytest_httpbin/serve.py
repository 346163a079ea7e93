"""The address of the server, with the members that tests use."""

from urllib.parse import urljoin, urlsplit


class Server:
    def __init__(self, url):
        parts = urlsplit(url)
        self.url, self.host, self.port, self.protocol = url, parts.hostname, parts.port, parts.scheme

    def __add__(self, path):
        return self.url + path

    def __str__(self):
        return self.url

    def join(self, path, allow_fragments=True):
        return urljoin(self.url, path, allow_fragments=allow_fragments)
