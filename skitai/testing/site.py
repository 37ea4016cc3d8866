"""What becomes of a request to one app, as the server would have it. No files, no other apps."""

from __future__ import annotations

from typing import NamedTuple

from skitai import handling, mounting, rpc
from skitai.app import Application
from skitai.errors import HttpError
from skitai.pages import error_page
from skitai.request import Request, decode_path
from skitai.serialize import HTML, Body
from skitai.table import Found, Table
from skitai.was import WAS

from .worker import Worker

Fields = list[tuple[str, str]]


class Answer(NamedTuple):
    """A response. fields: without those that follow from the body."""

    status: int
    reason: str
    fields: Fields
    body: Body


class Site:
    """An app at its place. mount: as in the conf, "/test" or "/test/"."""

    def __init__(self, app: Application, mount: str, worker: Worker) -> None:
        self._app = app
        self._base = mount.rstrip("/")
        self._is_directory_like = mounting.is_directory_like(mount)
        self._table = Table(app)
        self._worker = worker

    def answer(self, request: Request) -> Answer:
        """The response to a request."""
        try:
            request.path = decode_path(request.target)
        except ValueError:
            return _error(HttpError(400, "The path is not percent-encoded UTF-8."))
        if request.method == "POST" and (rpc.is_xml(request) or rpc.is_json(request)):
            return _made(request, *rpc.Document(self._worker.wasc, self, request).answer())
        return self._by_path(request)

    def _by_path(self, request: Request) -> Answer:
        path = request.path
        if not mounting.is_below(path, self._base):
            return _error(mounting.miss(path, request.method, ()))
        rest = path[len(self._base) :]
        if not rest and self._is_directory_like:
            return _moved(request, path + "/")
        match = self._match(rest or "/", request.method)
        if isinstance(match, Found):
            return self._call(request, match)
        other = mounting.other_path(rest)
        if not match and other and isinstance(self._match(other, request.method), Found):
            return _moved(request, self._base + other)
        error = mounting.miss(path, request.method, match)
        if match and request.method == "OPTIONS":
            return Answer(200, "", list(error.headers), b"")
        return self._miss(request, error)

    def _match(self, rest: str, method: str) -> Found | frozenset[str]:
        match = self._table.match(rest, method)
        if not isinstance(match, tuple):
            return match
        entry, params = match
        return Found(self._app, entry.route, params, entry.levels, self._base, self._table)

    def _miss(self, request: Request, error: HttpError) -> Answer:
        found = self._table.missing(error, self._base)
        return _error(error) if found is None else self._call(request, found)

    def _call(self, request: Request, found: Found) -> Answer:
        request.timeout = found.route.timeout
        was = WAS(self._worker.wasc, found, request)
        if found.route.is_async:
            return _made(request, *self._worker.run(handling.answer_async(was, found)))
        return _made(request, *handling.answer(was, found))

    # --- rpc.Methods ---

    def find(self, name: str) -> Found | None:
        """See `Methods.find`."""
        path = "/" + name.replace(".", "/")
        if not name or not mounting.is_below(path, self._base):
            return None
        rest = path[len(self._base) :]
        if not rest and self._is_directory_like:
            return None
        found = self._match(rest or "/", "POST")
        return found if isinstance(found, Found) else None

    def names(self) -> list[str]:
        """See `Methods.names`."""
        paths = [self._base + entry.route.rule for entry in self._table.exact()]
        return sorted(path.strip("/").replace("/", ".") for path in paths)


def _made(request: Request, kind: str, body: Body) -> Answer:
    """Status and fields are those of the request's response."""
    response = request.response
    fields = list(response.fields)
    if kind and not response.has_key("content-type"):
        fields.insert(0, ("Content-Type", kind))
    return Answer(response.status, response.reason, fields, body)


def _error(error: HttpError) -> Answer:
    page = error_page(error.status, error.detail)
    return Answer(error.status, "", [("Content-Type", HTML), *error.headers], page)


def _moved(request: Request, path: str) -> Answer:
    status, location = mounting.redirect(request, path)
    return Answer(status, "", [("Location", location), ("Content-Type", HTML)], error_page(status))
