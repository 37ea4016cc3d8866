"""`wasc`: what all requests of a worker share, as a class is shared by its instances.

One per worker, made before its apps start. Apps register objects here, and find them as
attributes of `wasc` and of every `was`; so do the worker's own parts (`was.threads`, `was.apps`
and so on). Names are registered while apps start and reload, and read by all threads; each of
these is one step of a dict, so there is no lock.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from skitai.engine import Engine
from skitai.errors import NameTaken
from skitai.session import Sessions
from skitai.was import WAS


class Server(msgspec.Struct, frozen=True):
    """The server as the conf has it: `was.httpserver`."""

    name: str
    ip: str
    port: int
    is_tls: bool
    version: str

    def status(self) -> dict[str, Any]:
        """As names and values."""
        return msgspec.structs.asdict(self)


class Wasc:
    """What `startup`, `onreload` and `shutdown` are given beside their app.

    engine: what sends calls. httpserver: name and address of the server. logger: of the apps.
    request_timeout: seconds a handler has, as in the conf; 0.0 is as long as it takes.
    """

    def __init__(
        self,
        engine: Engine,
        httpserver: Server,
        sessions: Sessions,
        request_timeout: float = 0.0,
    ) -> None:
        self.engine = engine
        self.request_timeout = request_timeout
        self.httpserver = httpserver
        self.sessions = sessions
        self.logger = logging.getLogger("skitai.app")
        self._registered: dict[str, Any] = {}
        self.starts_traces = False  # see `Errand`
        # For the worker: what `was.status()` says of the whole server; None: nobody knows.
        self.whole_status: Callable[[], Coroutine[Any, Any, dict[str, Any]]] | None = None

    def register(self, name: str, obj: Any) -> None:
        """Share an object with all apps of this worker, as `was.<name>`.

        If it has a `status()` that is shown by `was.status()`; a `cleanup()` is called when the
        worker leaves. Raises NameTaken, or ValueError for what cannot be an attribute.
        """
        if not name.isidentifier() or name.startswith("_"):
            raise ValueError(f"wasc.register({name!r}): that cannot be written as was.{name}")
        if hasattr(WAS, name) or hasattr(self, name):
            raise NameTaken(f"wasc.register({name!r}): was.{name} is there already")
        self._registered[name] = obj

    def unregister(self, name: str) -> None:
        """Share it no more. Raises KeyError for what is not registered."""
        if name not in self._registered:
            raise KeyError(f"wasc.unregister({name!r}): nothing is registered under that name")
        del self._registered[name]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_registered"][name]
        except KeyError:
            raise AttributeError(
                f"was has no {name}, and nothing is registered under that name"
            ) from None

    def status(self) -> dict[str, Any]:
        """What the server and the registered objects say of themselves, by name.

        Of one that fails there is the error in its place, and the rest is told all the same.
        """
        items = [("httpserver", self.httpserver), *self._items()]
        speaking = {name: getattr(each, "status", None) for name, each in items}
        return {
            name: self._told(name, speak) for name, speak in speaking.items() if callable(speak)
        }

    def _told(self, name: str, speak: Callable[[], Any]) -> Any:
        try:
            return speak()
        except Exception as error:
            self.logger.exception("the status of was.%s failed", name)
            return {"error": f"{type(error).__name__}: {error}"}

    def cleanup(self) -> None:
        """For the worker, when it leaves: let the registered objects clean up."""
        for name, each in self._items():
            clean: Callable[[], Any] | None = getattr(each, "cleanup", None)
            if callable(clean):
                try:
                    clean()
                except Exception:
                    self.logger.exception("the cleanup of was.%s failed", name)

    def _items(self) -> list[tuple[str, Any]]:
        return list(self._registered.items())
