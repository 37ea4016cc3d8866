"""The server's gateway interface: `ssgi.Application`."""

from skitai.app import Application

__all__ = ["Application"]
