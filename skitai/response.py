"""What a handler says about its response besides the body: status and header fields."""

from __future__ import annotations

from skitai.fields import checked, checked_text


class Response:
    """Status and header fields of the response. Names are matched without regard to case."""

    __slots__ = ("_fields", "_reason", "_status")

    def __init__(self) -> None:
        self._status = 200
        self._reason = ""
        self._fields: list[tuple[str, str]] = []

    @property
    def fields(self) -> tuple[tuple[str, str], ...]:
        """All header fields set, in order. They are set one by one, so that each is checked."""
        return tuple(self._fields)

    @property
    def status(self) -> int:
        """The status code, 200 unless it is set. Raises ValueError when set outside 200..599."""
        return self._status

    @status.setter
    def status(self, status: int) -> None:
        if not 200 <= status <= 599:
            raise ValueError(f"response status {status} is not between 200 and 599")
        self._status = status

    @property
    def reason(self) -> str:
        """The reason phrase; "" means the standard one."""
        return self._reason

    @reason.setter
    def reason(self, reason: str) -> None:
        self._reason = checked_text("the reason phrase", reason)

    def start(
        self, status: int, reason: str = "", headers: list[tuple[str, str]] | None = None
    ) -> None:
        """Set status, phrase and further header fields; what the handler returns is still the body.

        Raises ValueError for a status outside 200..599 or text that would break the header.
        """
        self.status = status
        self.reason = reason
        for name, value in headers or ():
            self.set(name, value)

    def set(self, name: str, value: str) -> None:
        """Add a header field, beside others of the same name. Raises ValueError, as `start`."""
        self._fields.append(checked(name, str(value)))

    def update(self, name: str, value: str) -> None:
        """Set a header field in place of all others of the same name."""
        self.delete(name)
        self.set(name, value)

    def delete(self, name: str) -> None:
        """Remove all header fields of this name; none is fine too."""
        wanted = name.lower()
        self._fields = [pair for pair in self._fields if pair[0].lower() != wanted]

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first header field of this name."""
        wanted = name.lower()
        return next((value for key, value in self._fields if key.lower() == wanted), default)

    def has_key(self, name: str) -> bool:
        """Whether a header field of this name is set."""
        return self.get(name) is not None

    __setitem__ = update
    __delitem__ = delete
    __contains__ = has_key

    def __getitem__(self, name: str) -> str | None:
        return self.get(name)
