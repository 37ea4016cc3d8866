"""Where all threads and coroutines of this process are, as text. From any thread.

Read from the frames while they go on, as in `in_hand`; it needs the GIL, and nothing else of the
threads it looks at.
"""

from __future__ import annotations

import sys
import threading
import traceback


def stacks() -> str:
    """The stack of each thread, with its name."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    parts = []
    for ident, frame in list(sys._current_frames().items()):
        name = names.get(ident, "a thread that Python has not started")
        parts.append(f"{name}:\n{''.join(traceback.format_stack(frame)).rstrip()}")
    return "\n\n".join(parts)
