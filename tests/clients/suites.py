"""The own tests of clients, which were written for httpbin, against `--inspect`.

Each suite comes from the client's source on PyPI. Its tests run as they are, with stand-ins for
pytest-httpbin that name our server.
"""

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import install
from checks import require
from curl import issue

STAND_INS = Path(__file__).resolve().parent / "stand_ins"

# The longest run of one suite, in seconds.
SUITE_TIMEOUT = 300

# The variables that name a file of trusted certificates.
TRUST = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")

# The reasons of HTTP/1.1 are those of RFC 9110, and httpbin's are in capitals.
REASON = "httpbin writes reasons in capitals"
TAG = "httpbin has no quotes around entity tags, which RFC 9110 requires"
CORS = "CORS headers are not sent"
UNKNOWN = "an unknown path is no error"
SPEED = "it depends on the speed of the machine"
FRONT = "/ describes the request, except to browsers"


@dataclass
class Suite:
    """The tests of a client, and where they differ."""

    # The client on PyPI with its version.
    source: str
    # What pytest runs, below the source.
    arguments: tuple
    # The libraries are those of this list of `install.LIBRARIES`.
    libraries: str = "suites"
    # Tests that fail, with the reason why the difference is wanted.
    differences: dict = field(default_factory=dict)
    # Tests that do not run, with the reason.
    left_out: dict = field(default_factory=dict)
    # Where pytest runs, below the source.
    folder: str = "."
    # Whether it expects the certificate among those that the system trusts.
    is_trusting: bool = False
    # A file, and text in it with its replacement.
    edit: tuple = ()

    @property
    def name(self):
        return self.source.partition("==")[0]


ONLY = "--only-httpbin"

SUITES = [
    Suite("requests==2.34.2", (ONLY, "tests")),
    Suite("niquests==3.21.2", (ONLY, "tests/test_requests.py", "tests/test_lowlevel.py", "tests/test_hooks.py"),
          libraries="suites_niquests",
          left_out={"tests/test_requests.py::TestPreparingURLs::test_post_json_nan":
                    "it depends on other libraries that are installed"}),
    Suite("httpie==3.2.4", (ONLY, "tests"),
          differences={
              "test_auth.py::test_ignore_netrc": REASON,
              "test_exit_status.py::test_error_response_exits_0_without_check_status": REASON,
              "test_exit_status.py::test_3xx_check_status_exits_3_and_stderr_when_stdout_redirected": REASON,
              "test_exit_status.py::test_4xx_check_status_exits_4": REASON,
              "test_exit_status.py::test_5xx_check_status_exits_5": REASON,
              "test_output.py::TestVerboseFlag::test_verbose_implies_all": REASON,
              "test_redirects.py::test_follow_all_redirects_shown": REASON,
              "test_json.py::test_nested_json_syntax[input_json17-expected_json17]":
                  "the name of a header has brackets",
          },
          left_out={
              "tests/test_config.py::test_config_file_inaccessible": "root may read every file",
              "tests/test_meta.py::test_meta_elapsed_time": SPEED,
              "tests/test_uploads.py::test_stdin_read_warning": SPEED,
          },
          # Its tests look for the case in which httpbin writes the name.
          edit=("tests/utils/__init__.py", "self.count('Content-Type:')",
                "self.lower().count('content-type:')")),
    Suite("httpcore==1.0.9", (ONLY, "tests")),
    Suite("treq==26.7.0", ("-p", "treq_httpbin", "--pyargs", "treq.test.test_treq_integration")),
    Suite("mechanicalsoup==1.4.0", (ONLY, "-c", os.devnull, "--rootdir", ".", "tests"),
          differences={
              "test_browser.py::test_no_404": UNKNOWN,
              "test_browser.py::test_404": UNKNOWN,
              "test_stateful_browser.py::test_no_404": UNKNOWN,
              "test_stateful_browser.py::test_404": UNKNOWN,
              "test_stateful_browser.py::test_download_link_404": UNKNOWN,
              "test_stateful_browser.py::test_submit_online": FRONT,
          }),
    Suite("vcrpy==9.4.2", (ONLY, "tests/integration"), is_trusting=True,
          differences={
              "test_aiohttp.py::test_filter_query_parameters": FRONT,
              "test_filter.py::test_filter_querystring": FRONT,
              "test_basic.py::test_basic_json_use": FRONT,
              "test_register_persister.py::test_load_cassette_with_custom_persister": FRONT,
              "test_requests.py::test_raw_stream": FRONT,
          },
          left_out={"tests/integration/test_requests.py::test_post_file": "its file is not in the source"}),
    Suite("requests-cache==1.3.3", ("tests/integration/test_memory.py",)),
    # In the folder of the tests, so that they import the stand-in and not httpbin.
    Suite("httpbin==0.10.4", ("--rootdir", ".", "--import-mode", "importlib", "test_httpbin.py"),
          folder="tests",
          differences={
              "test_bytes_with_seed": "a seed gives other bytes",
              "test_stream_bytes_with_seed": "a seed gives other bytes",
              "test_digest_auth": "an unknown qop gets a 400",
              "test_digest_auth_wrong_pass": "an unknown qop gets a 400",
              "test_etag_if_match_matches": TAG,
              "test_etag_if_match_matches_list": TAG,
              "test_etag_if_match_matches_star": TAG,
              "test_etag_if_none_match_has_no_match": TAG,
              "test_etag_if_none_match_matches": TAG,
              "test_etag_if_none_match_matches_list": TAG,
              "test_etag_if_none_match_matches_star": TAG,
              "test_etag_if_none_match_w_prefix": TAG,
              "test_etag_with_no_headers": TAG,
              "test_request_range": TAG,
              "test_request_range_first_15_bytes": TAG,
              "test_request_range_open_ended_last_6_bytes": TAG,
              "test_request_range_suffix": TAG,
              "test_request_range_with_parameters": TAG,
              "test_request_out_of_bounds": "an invalid range is ignored, as go-httpbin does",
              "test_set_cors_allow_headers": CORS,
              "test_set_cors_credentials_headers_after_auth_request": CORS,
              "test_set_cors_headers_after_request": CORS,
              "test_set_cors_headers_after_request_with_request_origin": CORS,
              "test_set_cors_headers_with_options_verb": CORS,
              "test_x_forwarded_proto": "X-Forwarded-Proto is believed only from a trusted proxy",
              "test_post_chunked": "httpbin's test client does not decode chunks",
          },
          left_out={
              "test_httpbin.py::HttpbinTestCase::test_bytes_endpoint_yields_bytes":
                  "it calls httpbin without a request",
              "test_httpbin.py::HttpbinTestCase::test_index_falls_back_to_static_page_without_flasgger":
                  "it imports httpbin's application",
          }),
]


def run(check, stage):
    if not shutil.which("openssl"):
        print("skipped: openssl, which makes the certificate, is missing", flush=True)
        return
    certificate, key = issue(stage.scratch)
    listen = ["--listen-tls", "127.0.0.1:0", "--tls-cert", certificate, "--tls-key", key]
    with stage.server("--inspect", *listen) as server:
        environment = {
            "HTTPBIN_CA": certificate,
            "HTTPBIN_SECURE_URL": server.secure_urls[0],
            "HTTPBIN_URL": server.url,
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        # They wait most of the time.
        with ThreadPoolExecutor(len(SUITES)) as pool:
            results = [pool.submit(outcomes, suite, stage.scratch, environment) for suite in SUITES]
            for suite, result in zip(SUITES, results):
                judge(check, suite, result)


def judge(check, suite, result):
    """A suite passes if exactly the tests with a wanted difference fail."""
    error = result.exception()
    by_test, output = ({}, "") if error else result.result()
    passed = list(by_test.values()).count("passed")
    with check(f"{suite.source}: {passed} tests pass, {len(suite.differences)} differences"):
        if error:
            raise error
        failed = {test for test, outcome in by_test.items() if outcome == "failed"}
        known = {test for test in by_test if any(is_named(test, name) for name in suite.differences)}
        require(not failed - known, f"failed: {sorted(failed - known)}\n{output[-4000:]}")
        stale = [name for name in suite.differences
                 if not any(is_named(test, name) for test in failed)]
        require(not stale, f"no difference any more: {stale}")
        require("passed" in by_test.values(), "no test ran")


def is_named(test, name):
    """Whether a test has this name, with any parameters if the name has none."""
    return test.endswith(f"::{name}") or test.endswith(f"/{name}") or (
        test.partition("[")[0].endswith((f"::{name}", f"/{name}")))


def outcomes(suite, scratch, environment):
    """Runs a suite. Returns the outcome of each test, and the output."""
    source = unpacked(suite, scratch)
    report = Path(scratch, f"{suite.name}.json")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "pytest_httpbin.plugin",
               "-p", "no:cacheprovider", "-W", "ignore", "--tb", "short", *suite.arguments]
    for test in suite.left_out:
        command += ["--deselect", test]
    trusted = dict.fromkeys(TRUST if suite.is_trusting else (), environment["HTTPBIN_CA"])
    done = subprocess.run(
        command, cwd=source / suite.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=SUITE_TIMEOUT,
        env=os.environ | environment | trusted | {
            "HTTPBIN_SOURCE": str(source / "httpbin"),
            "PYTHONPATH": f"{STAND_INS}{os.pathsep}{Path(scratch, suite.libraries)}",
            "SUITE_REPORT": str(report),
        })
    require(report.exists(), f"pytest did not finish: {done.stdout[-2000:]}")
    return json.loads(report.read_text()), done.stdout


def unpacked(suite, scratch):
    """The folder with the source of the client, which has its tests."""
    folder = Path(scratch, "sources", suite.name)
    archive = install.source(suite.source, folder, Path(scratch, "suites"))
    shutil.unpack_archive(archive, folder)
    [source] = [path for path in folder.iterdir() if path.is_dir()]
    if suite.edit:
        path, old, new = suite.edit
        text = Path(source, path).read_text()
        require(old in text, f"{path} has no {old}")
        Path(source, path).write_text(text.replace(old, new))
    return source
