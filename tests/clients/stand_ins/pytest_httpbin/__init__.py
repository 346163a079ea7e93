"""Stands in for pytest-httpbin: its fixtures name a server that already runs."""
