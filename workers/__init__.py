"""The worker: one uvloop loop, handler threads, and its own pools of outgoing connections."""
