"""The command: reads confs, runs one server or the fleet."""
