"""Ends a process group when the one who started it ends, however that came about.

Run as a program by `core.lib.processes`. It leads the group and reads a pipe whose other end only the starter holds;
when the pipe closes, everything in the group is asked to end and then killed. Works wherever there are pipes.
"""

from __future__ import annotations

import os
import signal
import sys
import time

GRACE_SECONDS = 2.0


def main() -> None:
    """Wait for the starter's end, then end the group."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while sys.stdin.buffer.read(1):
        pass
    os.killpg(0, signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
