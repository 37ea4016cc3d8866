"""Formats on the wire, as pure functions from bytes to values and back."""
