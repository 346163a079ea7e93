"""The fixtures of pytest-httpbin, and a report for the caller."""

import json
import os
from pathlib import Path

import pytest

from . import certs
from .serve import Server

# Tests that need more than one of these outcomes count as the last of them.
OUTCOMES = ["skipped", "passed", "failed"]

outcomes = {}


@pytest.fixture(scope="session")
def httpbin():
    return Server(os.environ["HTTPBIN_URL"])


@pytest.fixture(scope="session")
def httpbin_secure():
    return Server(os.environ["HTTPBIN_SECURE_URL"])


@pytest.fixture(scope="session", params=["http", "https"])
def httpbin_both(request, httpbin, httpbin_secure):
    return httpbin if request.param == "http" else httpbin_secure


@pytest.fixture(scope="session")
def httpbin_ca_bundle():
    return certs.where()


def pytest_addoption(parser):
    parser.addoption("--only-httpbin", action="store_true",
                     help="run only the tests that use a fixture for httpbin")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--only-httpbin"):
        return
    others = [item for item in items if not uses_httpbin(item)]
    items[:] = [item for item in items if uses_httpbin(item)]
    config.hook.pytest_deselected(items=others)


def uses_httpbin(item):
    # HTTPie gives each of its tests the certificate.
    names = set(getattr(item, "fixturenames", ())) - {"httpbin_add_ca_bundle"}
    return any("httpbin" in name for name in names)


def pytest_runtest_logreport(report):
    known = outcomes.get(report.nodeid, "skipped")
    outcome = "skipped" if report.when != "call" and report.passed else report.outcome
    outcomes[report.nodeid] = max(known, outcome, key=OUTCOMES.index)


def pytest_collectreport(report):
    if report.failed:
        outcomes[report.nodeid] = "failed"


def pytest_sessionfinish():
    Path(os.environ["SUITE_REPORT"]).write_text(json.dumps(outcomes))
