"""Stops single threads until it ends or they do.

    freeze.py THREAD...       prints "frozen" once all of them are stopped
"""

from __future__ import annotations

import ctypes
import os
import sys

PTRACE_SEIZE = 0x4206
PTRACE_INTERRUPT = 0x4207

# Waits for threads too, not only for children (__WALL).
ALL = 0x40000000


def main() -> None:
    threads = [int(thread) for thread in sys.argv[1:]]
    for thread in threads:
        _trace(PTRACE_SEIZE, thread)
        _trace(PTRACE_INTERRUPT, thread)
        os.waitpid(thread, ALL)
    print("frozen", flush=True)
    # The parent of their process is notified of its end only after this process has reaped them.
    for thread in threads:
        while not _has_ended(thread):
            pass


def _has_ended(thread: int) -> bool:
    try:
        _, status = os.waitpid(thread, ALL)
    except ChildProcessError:
        return True
    return os.WIFEXITED(status) or os.WIFSIGNALED(status)


def _trace(request: int, thread: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(ctypes.c_long(request), ctypes.c_long(thread), None, None) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


if __name__ == "__main__":
    main()
