"""XML-RPC and JSON-RPC requests: the same handlers, reached by a dotted name.

`test.hello.world` is the path `/test/hello/world`, mount prefix included, whatever URL the
request was sent to. A document is read, and its calls are made one after the other, on a
handler thread; an `async def` handler runs on the loop meanwhile.

Whatever goes wrong in a call is a fault with the codes of JSON-RPC 2.0 section 5.1, which are
also those of the fault code interoperability draft for XML-RPC. A status of 400 or above that a
handler or a hook sets is a fault with that code, and the text that is returned its message. A
traceback goes to the log; the caller gets the exception's type and text in development mode only,
since such texts carry queries, paths and names.

Hooks, cookies and sessions are those of web requests. The calls of one document share the cookies
and the session: each sees what those before it have set.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from skitai import handling, introspection, serialize
from skitai.app import Application
from skitai.cookie import Cookies
from skitai.errors import BadWireData, HttpError, RpcFault, Unsupported
from skitai.introspection import Methods as Methods
from skitai.pages import error_page, phrase
from skitai.request import Request
from skitai.results import Result
from skitai.session import Session
from skitai.table import Found
from skitai.was import WAS
from skitai.wasc import Wasc
from skitai.wire import jsonrpc
from skitai.wire import xmlrpc as xml_rpc

MULTICALL = "system.multicall"


def is_xml(request: Request) -> bool:
    """A POST of text/xml is XML-RPC wherever it goes, application/xml at /rpc2 only."""
    kind = request.media_type
    return kind == b"text/xml" or (kind == b"application/xml" and _ends_in(request, "/rpc2"))


def is_json(request: Request) -> bool:
    """A POST of application/json-rpc is JSON-RPC wherever it goes, application/json at /rpc3."""
    kind = request.media_type
    return kind == b"application/json-rpc" or (
        kind == b"application/json" and _ends_in(request, "/rpc3")
    )


def _ends_in(request: Request, name: str) -> bool:
    return request.path.rstrip("/").lower().endswith(name)


class Document:
    """One RPC request: its calls, made one after the other on a handler thread."""

    def __init__(self, wasc: Wasc, methods: Methods, request: Request) -> None:
        self._wasc = wasc
        self._methods = methods
        self._request = request
        self._cookies: Cookies | None = None
        self._session: Session | None = None
        self._is_of_many = False  # then its time is that of the conf, whatever its methods have
        self._fields: dict[Application, list[tuple[str, str]]] = {}  # Set-Cookie, the latest last
        self._is_counted = False  # at the rule of its first call

    def answer(self) -> tuple[str, bytes]:
        """Content type and body; the status and other fields are in the request's response."""
        status, kind, body = self._answer_xml() if is_xml(self._request) else self._answer_json()
        self._forget_status()
        fields = [field for each in self._fields.values() for field in each]
        if fields or status != 200 or self._request.answered_with is not None:
            response = self._request.response
            response.status = status
            for name in ("Content-Type", "Content-Encoding"):  # of a page that this is not
                response.delete(name)
            for name, text in dict.fromkeys(fields):
                response.set(name, text)
        return kind, body

    # --- XML-RPC ---

    def _answer_xml(self) -> tuple[int, str, bytes]:
        try:
            method, params = xml_rpc.load_call(self._request.body)
        except (BadWireData, RpcFault) as error:
            return 400, serialize.HTML, error_page(400, str(error))
        try:
            if method == MULTICALL:
                self._is_of_many = True
                return 200, "text/xml", xml_rpc.dump_value(self._multicall(params))
            _, body = self._made(method, params, {}, xml_rpc.dump_value)
        except RpcFault as fault:
            body = xml_rpc.dump_fault(fault.code, fault.message)
        return 200, "text/xml", body

    def _multicall(self, params: tuple[Any, ...]) -> list[Any]:
        """Each result in a list of its own, each fault as a struct, as xmlrpc.client wants it."""
        if len(params) != 1 or not isinstance(params[0], list):
            raise RpcFault(
                xml_rpc.INVALID_PARAMS, f"{MULTICALL} takes one array of methodName and params"
            )
        if len(params[0]) > jsonrpc.CALLS_MAX:
            message = f"{MULTICALL} makes no more than {jsonrpc.CALLS_MAX} calls"
            raise RpcFault(xml_rpc.INVALID_PARAMS, message)
        return [self._one_of_many(entry) for entry in params[0]]

    def _one_of_many(self, entry: Any) -> Any:
        try:
            method, params = _multicall_entry(entry)
            value, _ = self._made(method, params, {}, xml_rpc.dump_value)
        except RpcFault as fault:
            return {"faultCode": fault.code, "faultString": fault.message}
        return [value]

    # --- JSON-RPC ---

    def _answer_json(self) -> tuple[int, str, bytes]:
        kind = self._request.media_type.decode("latin-1")
        try:
            document = jsonrpc.load(self._request.body)
        except RpcFault as fault:
            return 200, kind, jsonrpc.dump_error(fault.code, fault.message)
        self._is_of_many = document.is_batch
        answers = [self._one_json(entry) for entry in document.entries]
        body = jsonrpc.join([each for each in answers if each], document.is_batch)
        # Nothing, where nobody wants an answer; with 200, since jsonrpclib takes 204 for an error.
        return 200, kind if body else "", body

    def _one_json(self, entry: jsonrpc.Request | jsonrpc.Invalid) -> bytes:
        if isinstance(entry, jsonrpc.Invalid):
            return jsonrpc.dump_error(jsonrpc.INVALID_REQUEST, entry.reason, entry.id)
        try:
            dump = partial(jsonrpc.dump_value, ident=entry.id)
            _, body = self._made(entry.method, entry.args, entry.kwargs, dump)
        except RpcFault as fault:
            body = jsonrpc.dump_error(fault.code, fault.message, entry.id)
        return b"" if entry.is_notification else body

    # --- both ---

    def _made(
        self,
        method: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        dump: Callable[[Any], bytes],
    ) -> tuple[Any, bytes]:
        """The value of a call, also as `dump` writes it. Raises RpcFault for what goes wrong."""
        if method in introspection.OWN and method != MULTICALL:
            value = introspection.answer(self._methods, method, args, kwargs)
            return value, dump(value)
        found = self._methods.find(method)
        if found is None:
            raise RpcFault(jsonrpc.METHOD_NOT_FOUND, f"there is no method {method}")
        if not self._is_counted and found.series is not None:
            self._is_counted = True
            self._request.series = found.series
        named = {**kwargs, **found.params}
        complaint = found.route.signature.positional_complaint(len(args), named)
        if complaint is not None:
            raise RpcFault(jsonrpc.INVALID_PARAMS, f"{method}: {complaint}")
        try:
            value = self._call(found, args, named)
        except BaseException as error:  # a SystemExit too: it must not end the thread
            raise self._fault(found, error) from None
        try:
            return value, dump(value)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            complaint = f"returned a value that RPC cannot carry: {error}"
            raise self._fault(found, Unsupported(complaint)) from None

    def _call(self, found: Found, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """The value of a handler, with the hooks around it. Raises what they raise."""
        self._forget_status()
        if not self._is_of_many:
            self._request.timeout = found.route.timeout
        was = WAS(self._wasc, found, self._request)
        was._cookies = self._cookies
        if found.app.has_session:
            was._session = self._session
        handler = partial(found.route.handler, was, *args, **named)
        value = handling.call(was, found, handler)
        self._raise_problem(value)
        fields = handling.cookie_fields(was)
        self._cookies = was._cookies
        if was._session is not None:
            self._session = was._session
        self._fields.pop(found.app, None)
        self._fields[found.app] = fields
        return serialize.normal_data(value) if isinstance(value, Result) else value

    def _raise_problem(self, value: Any) -> None:
        if self._request.problem is not None:
            raise self._request.problem
        response = self._request.answered_with
        if response is not None and response.status >= 400:
            raise HttpError(response.status, value if isinstance(value, str) else "")

    def _forget_status(self) -> None:
        """The answer to a document is 200, whatever became of its calls."""
        response = self._request.answered_with
        if response is None:
            return
        if response.problem is not None:
            self._request.start_anew()
        else:
            response.status, response.reason = 200, ""

    def _fault(self, found: Found, error: BaseException) -> RpcFault:
        if isinstance(error, RpcFault):
            return RpcFault(error.code, _text(error.message))
        if isinstance(error, HttpError):
            return RpcFault(error.status, _text(error.detail) or phrase(error.status))
        handling.log_failure(self._request, found, error)
        if found.app.is_devel():
            return RpcFault(jsonrpc.INTERNAL_ERROR, f"{type(error).__name__}: {_text(error)}")
        return RpcFault(jsonrpc.INTERNAL_ERROR, "The method failed; the log of its app says why.")


def _text(of: object) -> str:
    """What something says, whatever its __str__ does, without lone surrogates."""
    try:
        return str(of).encode("utf-8", "replace").decode()
    except Exception:
        return "what cannot be shown"


def _multicall_entry(entry: Any) -> tuple[str, tuple[Any, ...]]:
    """(method, params) of one call. Raises RpcFault."""
    if not isinstance(entry, dict):
        raise RpcFault(xml_rpc.INVALID_PARAMS, "a call of system.multicall is a struct")
    method, params = entry.get("methodName"), entry.get("params", [])
    if not isinstance(method, str) or not isinstance(params, list):
        raise RpcFault(xml_rpc.INVALID_PARAMS, "a call has a methodName and an array of params")
    if method == MULTICALL:
        raise RpcFault(xml_rpc.INVALID_PARAMS, "system.multicall cannot call itself")
    return method, tuple(params)
