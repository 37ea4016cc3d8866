"""A request as a browser would send it, and where it goes from a redirect. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic
from typing import Any, TypedDict
from urllib.parse import quote, urljoin

import msgspec

from skitai.caller import Caller
from skitai.errors import WrongUse
from skitai.request import Request

from . import body
from .body import Body, Data, Files
from .worker import HOST, PORT

_ORIGIN = f"http://{HOST}:{PORT}"
_CALLER = Caller("127.0.0.1")
_SAFE = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"  # all of ASCII that can be sent as it is


class Options(TypedDict, total=False):
    """What every request takes.

    headers: further header fields.
    follow: go where a redirect leads; off by default.
    stream: leave the body to `Reply.iter`, for streams without end, or to leave early.
    """

    headers: Mapping[str, str]
    follow: bool
    stream: bool


class BodyOptions(Options, total=False):
    """What requests with a body take besides.

    json: a value, sent as application/json.
    files: by the names of their fields; each a path, an open file, (name, content) or
        (name, content, content type), or a list of these.
    """

    json: Any
    files: Files


class Sending(msgspec.Struct, frozen=True):
    """One request. url: path and query, percent-encoded."""

    method: str
    url: str
    headers: dict[str, str]
    data: Data | None
    options: BodyOptions

    @property
    def path(self) -> str:
        """Without its query."""
        return self.url.partition("?")[0]

    def request(self, cookies: str) -> Request:
        """As it arrives. cookies: the Cookie field, "" for none."""
        content = self._body()
        fields = {"Host": f"{HOST}:{PORT}", "User-Agent": "skitai.testing"}
        if cookies:
            fields["Cookie"] = cookies
        if content.kind:
            fields["Content-Type"] = content.kind
        if content.data or self.method in ("POST", "PUT", "PATCH"):
            fields["Content-Length"] = str(len(content.data))
        given = {name.lower() for name in self.headers}
        fields = {n: v for n, v in fields.items() if n.lower() not in given} | self.headers
        raw = [(name.encode("ascii"), value.encode("latin-1")) for name, value in fields.items()]
        began = monotonic()
        target = self.url.encode("ascii")
        request = Request(self.method, target, raw, content.data, "1.1", _CALLER, began)
        request.upload = content.upload
        request.started = began
        return request

    def _body(self) -> Body:
        data, options = self.data, self.options
        if "json" in options:
            if data is not None or "files" in options:
                raise WrongUse("a request has one body: data with files, or json")
            return body.of_json(options["json"])
        return body.of_files(data, options["files"]) if "files" in options else body.of_data(data)

    def after(self, status: int, location: str) -> Sending:
        """What a redirect leads to. Raises WrongUse if that is another server's.

        It is a GET where browsers make one of it (RFC 9110 sections 15.4.2 to 15.4.4).
        """
        url = urljoin(_ORIGIN + self.url, location)
        if not url.startswith(_ORIGIN + "/"):
            raise WrongUse(
                f"{self.url} leads to {url}, which is not this app; leave follow off, and look at"
                ' reply.headers["Location"]'
            )
        there = msgspec.structs.replace(self, url=encoded(url.removeprefix(_ORIGIN)))
        is_get_now = status == 303 or (status in (301, 302) and self.method == "POST")
        if not is_get_now or self.method in ("GET", "HEAD"):
            return there
        headers = {n: v for n, v in self.headers.items() if n.lower() != "content-type"}
        return msgspec.structs.replace(there, method="GET", headers=headers, data=None, options={})


def encoded(path: str) -> str:
    """Path and query as they are sent: without what browsers keep, a fragment."""
    return quote(path.partition("#")[0], safe=_SAFE)
