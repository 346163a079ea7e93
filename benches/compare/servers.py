"""The servers: how each is built, started and stopped."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from job import PAGE
from usage import session

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parent.parent
OURS = "httpool"
FLOOR = "floor"

# The requested file in the root of a server.
FILE = "file.html"

# Descriptors of a server.
FILES = 20_000

# Threads of the blocking servers.
POOL = 4

NGINX = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes {threads};
worker_rlimit_nofile {files};
{user}
events {{ worker_connections {connections}; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    server {{
        listen 127.0.0.1:{port} {options};
        location / {{
            default_type text/html;
            {response}
        }}
    }}
}}
"""

NGINX_PAGE = 'return 200 "<h1>Welcome to my Server</h1>";'
# As in Debian's default and most guides.
NGINX_FILES = "root {root}; sendfile on; tcp_nopush on; add_header Cache-Control no-cache;"

NGINX_TLS = "ssl backlog=4096; ssl_certificate {certificate}; ssl_certificate_key {key}"

H2O = """
num-threads: {threads}
max-connections: {connections}
http2-idle-timeout: 600
{user}
listen: {{ host: 127.0.0.1, port: {port}{tls} }}
hosts: {{ default: {{ paths: {{ "/": {{ file.dir: {root} }} }} }} }}
"""

H2O_TLS = ", ssl: {{ certificate-file: {certificate}, key-file: {key} }}"

# The page, for servers that have it in a file.
PAGE_FILE = "index.html"


class Missing(Exception):
    """The server is not available on this machine."""


@dataclass(frozen=True)
class Setting:
    """The settings of a server."""

    port: int
    threads: int
    # httpool only: `--workers`, if not the default, and flags of the scenario.
    workers: int | None
    flags: tuple[str, ...]
    # A folder for its files.
    folder: Path
    # The folder to serve, if any, and the size of its file.
    root: Path | None
    file: int
    # A certificate and its key, for TLS.
    tls: tuple[Path, Path] | None
    # Whether the load uses HTTP/2.
    http2: bool


@dataclass(frozen=True)
class Server:
    name: str
    # Builds or finds the program, and returns its path.
    build: Callable[[Path], Path]
    command: Callable[[Path, Setting], list[str]]
    # Whether it can echo.
    posts: bool = True
    # The versions of HTTP that it takes part with.
    http1: bool = True
    http2: bool = False
    # Whether it can serve a folder with HTTP/1.1, also over TLS.
    files: bool = False
    # Whether it can serve a large page with HTTP/2, and the usual one over TLS.
    http2_files: bool = False


class Running:
    """A running server in a session of its own, stopped at the end of `with`."""

    def __init__(self, command: list[str], port: int, log: Path, cpu: int | None) -> None:
        self.port = port
        # Without variables that would change the settings of httpool.
        environment = {
            name: value
            for name, value in os.environ.items()
            if name != "PORT" and not name.startswith("HTTPOOL_")
        }
        self._log = open(log, "ab")
        self._process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
            preexec_fn=None if cpu is None else lambda: os.sched_setaffinity(0, {cpu}),
        )
        self.leader = self._process.pid

    def __enter__(self) -> Running:
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        # The leader's process id is not reused before the process is waited for.
        for how, timeout in ((signal.SIGTERM, 2), (signal.SIGKILL, 2)):
            for pid in session(self.leader):
                # It may have ended already.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, how)
            deadline = time.monotonic() + timeout
            while session(self.leader) and time.monotonic() < deadline:
                time.sleep(0.02)
        self._process.wait()
        self._log.close()

    def _wait(self) -> None:
        """Waits until the server listens."""
        deadline = time.monotonic() + 15
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                ended = self._process.poll()
                if ended is not None or time.monotonic() > deadline:
                    how = "listens on no port" if ended is None else f"ended with {ended}"
                    output = Path(self._log.name).read_text(errors="replace").strip()[-300:]
                    raise Missing(f"it {how}: {output}") from None
                time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def target() -> Path:
    """Cargo's target directory of this package."""
    command = ["cargo", "metadata", "--no-deps", "--format-version", "1"]
    output = subprocess.run(command, cwd=PACKAGE, check=True, stdout=subprocess.PIPE).stdout
    return Path(json.loads(output)["target_directory"])


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate of a common kind, and its key."""
    found = folder / "certificate.pem", folder / "key.pem"
    if not all(path.exists() for path in found):
        made = ["openssl", "req", "-x509", "-nodes", "-days", "7", "-subj", "/CN=localhost"]
        made += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        _run([*made, "-out", str(found[0]), "-keyout", str(found[1])], folder)
    return found


def _run(command: list[str], folder: Path, **environment: str) -> None:
    if not shutil.which(command[0]):
        raise Missing(f"{command[0]} is not installed, but required")
    done = subprocess.run(
        command,
        check=False,
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode != 0:
        raise Missing(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}")


def _build_ours(out: Path) -> Path:
    _run(["cargo", "build", "--release", "--locked", "--bin", OURS], PACKAGE)
    # A copy, because another build could replace the program during the measurement.
    return Path(shutil.copy2(out.parent / "release" / OURS, out / OURS))


def _command_of_ours(program: Path, setting: Setting) -> list[str]:
    address = f"127.0.0.1:{setting.port}"
    command = [str(program), "--log-level", "warn", "--http2", "on"]
    if setting.tls:
        certificate, key = map(str, setting.tls)
        command += ["--listen-tls", address, "--tls-cert", certificate, "--tls-key", key]
    else:
        command += ["--listen", address]
    if setting.workers is not None:
        command += ["--workers", str(setting.workers)]
    if setting.root:
        command += ["--root", str(setting.root)]
    return command + list(setting.flags)


def _in_rust(
    name: str, threads: int | None = None, *, http2: bool = False, http2_package: str | None = None
) -> Server:
    """A program in `peers`, and maybe another one for HTTP/2, which has TLS and any page."""
    package = f"peer-{name}"
    packages = [package] + ([http2_package] if http2_package else [])

    def build(out: Path) -> Path:
        chosen = [option for one in packages for option in ("-p", one)]
        _run(
            ["cargo", "build", "--release", "--locked", "--target-dir", str(out), *chosen],
            HERE / "peers",
        )
        return out / "release" / package

    def command(program: Path, setting: Setting) -> list[str]:
        if setting.http2 and http2_package:
            program = program.with_name(http2_package)
        arguments = [str(setting.port), str(threads or setting.threads)]
        if setting.file or setting.tls:
            arguments += [str(setting.file), *map(str, setting.tls or ())]
        return [str(program), *arguments]

    has_other = http2_package is not None
    return Server(name, build, command, http2=http2 or has_other, http2_files=has_other)


def _build_go(out: Path) -> Path:
    program = out / "peer-go"
    _run(["go", "build", "-o", str(program), "."], HERE / "peers" / "go", GOCACHE=str(out / "go"))
    return program


def find_nginx(_: Path | None = None) -> Path:
    # Debian's path may not be in PATH.
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if not found:
        raise Missing("it is not installed")
    return Path(found)


def _command_of_nginx(program: Path, setting: Setting) -> list[str]:
    setting.folder.mkdir(exist_ok=True)
    options = "backlog=4096"
    if setting.tls:
        options = NGINX_TLS.format(certificate=setting.tls[0], key=setting.tls[1])
    if setting.http2:
        options = f"http2 {options}"
    configuration = setting.folder / "nginx.conf"
    configuration.write_text(
        NGINX.format(
            folder=setting.folder,
            port=setting.port,
            options=options,
            threads=setting.threads,
            files=FILES,
            connections=FILES - 1000,
            user="user root;" if os.geteuid() == 0 else "",
            response=NGINX_FILES.format(root=setting.root) if setting.root else NGINX_PAGE,
        )
    )
    folder = str(setting.folder)
    return [str(program), "-p", folder, "-e", f"{folder}/error.log", "-c", str(configuration)]


def _find(name: str) -> Callable[[Path], Path]:
    def find(_: Path) -> Path:
        found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
        if not found:
            raise Missing("it is not installed")
        return Path(found)

    return find


def _folder_with_page(setting: Setting) -> Path:
    root = setting.folder / "page"
    root.mkdir(parents=True, exist_ok=True)
    (root / PAGE_FILE).write_bytes(PAGE)
    return root


def _command_of_h2o(program: Path, setting: Setting) -> list[str]:
    root = setting.root or _folder_with_page(setting)
    tls = setting.tls
    configuration = setting.folder / "h2o.conf"
    configuration.write_text(
        H2O.format(
            threads=setting.threads,
            connections=FILES - 1000,
            user="user: root" if os.geteuid() == 0 else "",
            port=setting.port,
            tls=H2O_TLS.format(certificate=tls[0], key=tls[1]) if tls else "",
            root=root,
        )
    )
    return [str(program), "-c", str(configuration)]


def _command_of_nghttpd(program: Path, setting: Setting) -> list[str]:
    root = setting.root or _folder_with_page(setting)
    options = ["--address=127.0.0.1", f"--workers={setting.threads}", f"--htdocs={root}"]
    if not setting.tls:
        return [str(program), *options, "--no-tls", str(setting.port)]
    certificate, key = map(str, setting.tls)
    return [str(program), *options, str(setting.port), key, certificate]


def _only_http2(name: str, command: Callable[[Path, Setting], list[str]]) -> Server:
    """An installed server that can't echo."""
    build = _find(name)
    return Server(name, build, command, posts=False, http1=False, http2=True, http2_files=True)


def _command_with_threads(program: Path, setting: Setting) -> list[str]:
    return [str(program), str(setting.port), str(setting.threads)]


SERVERS = [
    _in_rust(FLOOR, http2_package="peer-floor-http2"),
    Server(OURS, _build_ours, _command_of_ours, files=True, http2=True, http2_files=True),
    _in_rust("hyper", http2_package="peer-hyper-http2"),
    _in_rust("axum", http2=True),
    _in_rust("actix-web", http2=True),
    Server(
        "nginx",
        find_nginx,
        _command_of_nginx,
        posts=False,
        files=True,
        http2=True,
        http2_files=True,
    ),
    _only_http2("h2o", _command_of_h2o),
    _only_http2("nghttpd", _command_of_nghttpd),
    Server("go", _build_go, _command_with_threads),
    _in_rust("tiny_http", POOL),
    _in_rust("rouille", POOL),
]
