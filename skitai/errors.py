"""What an app may catch or see raised, and what the server answers for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skitai.fields import checked

if TYPE_CHECKING:
    from skitai.results import Result


class SkitaiError(Exception):
    """The root of all errors raised by this package."""


class RouteError(SkitaiError):
    """A rule given to `@app.route` cannot be used. Raised at import: the server does not start."""


class UnknownCluster(SkitaiError):
    """A call names a cluster that the conf does not have."""


class WrongUse(SkitaiError):
    """The app uses a call handle in a way that cannot work; the message says what to write."""


class SessionTooLarge(SkitaiError):
    """`was.session` does not fit in a cookie; the message names the size and the largest key."""


class HttpError(SkitaiError):
    """Ends the request with an error page: `raise HttpError(404, "no such company")`.

    status: the HTTP status code, 300..599.
    detail: one sentence for the client.
    headers: further response header fields, such as Location or Retry-After.
    Raises ValueError for a status outside of that, or a header field that holds a line break.
    """

    def __init__(
        self, status: int, detail: str = "", headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(status, detail)
        if not isinstance(status, int):  # an app may not be typed
            raise TypeError(f"HttpError status {status!r} is no int")
        if not 300 <= status <= 599:
            raise ValueError(f"HttpError status {status} is not between 300 and 599")
        self.status = status
        self.detail = str(detail)
        self.headers = tuple(checked(name, value) for name, value in headers)


class RpcFault(SkitaiError):
    """The answer of a remote procedure that says no; also what our own RPC side sends.

    code: the fault code of XML-RPC, or the error code of JSON-RPC 2.0 (section 5.1).
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


class BadWireData(SkitaiError):
    """Bytes that claim to be XML-RPC or JSON-RPC and are not; the message says what is wrong."""


class TransactionFailed(SkitaiError):
    """A transaction has not begun, or was not committed; the message says why.

    code: the SQLSTATE of the server's error, "" if it is none of the server's.
    """

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class NameTaken(SkitaiError, KeyError):
    """`wasc.register` with a name that `was` has already."""

    __str__ = Exception.__str__  # a KeyError shows the repr of its argument


class ClientGone(SkitaiError):
    """The client has left while its request was in hand; nobody waits for the answer."""


class CallFailed(SkitaiError):
    """`Result.throw`: there is no normal answer. result: the `Result`, which says why."""

    def __init__(self, result: Result) -> None:
        super().__init__(str(result))
        self.result = result


class DeadlinePassed(CallFailed, TimeoutError):
    """`Result.throw`: the answer did not come in time."""


class Unsupported(SkitaiError, TypeError):
    """A handler returned what no web client can be sent."""
