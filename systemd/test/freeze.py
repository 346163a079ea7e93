"""Holds single threads still, as long as it runs and they are there.

    freeze.py THREAD...       says "frozen" when they are
"""

from __future__ import annotations

import ctypes
import os
import sys

PTRACE_SEIZE = 0x4206
PTRACE_INTERRUPT = 0x4207

# Of threads, and not of children only (__WALL).
ALL = 0x40000000


def main() -> None:
    threads = [int(thread) for thread in sys.argv[1:]]
    for thread in threads:
        _trace(PTRACE_SEIZE, thread)
        _trace(PTRACE_INTERRUPT, thread)
        os.waitpid(thread, ALL)
    print("frozen", flush=True)
    # Whoever waits for their process hears of its end only after this one has.
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
