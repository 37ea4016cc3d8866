"""The asking side: pools of outgoing connections, balancing, calls to one or many servers."""
