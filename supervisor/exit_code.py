"""Exit codes: what one says, in words, and our own word for a defect."""

from __future__ import annotations

import signal

EXIT_CRASHED = 70  # EX_SOFTWARE of sysexits.h: our own code raised


def describe(exit_code: int) -> str:
    """`exit_code` is as of subprocess and `os.waitstatus_to_exitcode`: negative is a signal."""
    if exit_code >= 0:
        return f"left with exit code {exit_code}"
    try:
        return f"was killed by {signal.Signals(-exit_code).name}"
    except ValueError:  # a real-time signal between SIGRTMIN and SIGRTMAX has no name
        return f"was killed by signal {-exit_code}"
