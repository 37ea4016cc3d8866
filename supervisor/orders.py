"""What each signal to a master means. docs/reference/signals.md tells it to operators."""

from __future__ import annotations

import signal

from skitaid.supervisor.events import (
    ChildDied,
    CountWanted,
    Event,
    LogsMoved,
    ReloadWanted,
    RestartWanted,
    StopWanted,
)

ORDERS: dict[signal.Signals, Event] = {
    signal.SIGTERM: StopWanted(graceful=False, cause="SIGTERM"),
    signal.SIGINT: StopWanted(graceful=False, cause="SIGINT"),
    signal.SIGQUIT: StopWanted(graceful=True, cause="SIGQUIT"),
    signal.SIGHUP: ReloadWanted(cause="SIGHUP"),
    signal.SIGUSR1: LogsMoved(cause="SIGUSR1"),
    signal.SIGUSR2: RestartWanted(cause="SIGUSR2"),
    signal.SIGTTIN: CountWanted(by=1, cause="SIGTTIN"),
    signal.SIGTTOU: CountWanted(by=-1, cause="SIGTTOU"),
}

# What ends a server, and may do so before it serves.
ENDS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)

# What comes the same way, from the kernel.
NEWS: dict[signal.Signals, Event] = {**ORDERS, signal.SIGCHLD: ChildDied()}
