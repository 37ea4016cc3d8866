"""The fleet: the one process of a machine that runs a master per conf in servers-enabled."""
