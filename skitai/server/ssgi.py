"""The server's gateway interface: `ssgi.Application` and `ssgi.Package`."""

from skitai.app import Application
from skitai.package import Package

__all__ = ["Application", "Package"]
