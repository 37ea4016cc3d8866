"""The master: binds the socket, forks workers, watches them. Holds no app code."""
