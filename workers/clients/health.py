"""Whether a member of a cluster may be asked. Pure: the clock and the dice are handed in.

A member that fails `FAILURES` times in a row is ejected, for a time that doubles with every
further ejection, spread so that the workers of a server do not come back in step. When the
time is over one request is let through as a probe: it answers and the member is back, or it
fails and the member is out for longer.

While a member is ejected only its probe counts. Other failures are no news: those requests were
sent before the ejection, or because all members look dead; a short outage with many requests in
flight must not become a long row of ejections. Only failures of the member's own making count:
no connection, a broken one, no HTTP, and silence up to a deadline that was long enough for it
(`Load.was_silent`). An error status or a fault is an answer.

Where there are active checks (`checks.py`) it is they that bring an ejected member back, when its
time is over, so no request has to be the probe; and a member they find down is not asked until
they find it up.
"""

from __future__ import annotations

import msgspec

FAILURES = 3  # in a row; Finagle and Envoy wait for 5, nginx for 1
FIRST = 1.0  # seconds
LONGEST = 60.0  # seconds; what the original Skitai always waited
SPREAD = 0.25  # of the time, up or down


class Health(msgspec.Struct):
    """The book of one member, as one worker sees it."""

    failures: int = 0  # in a row
    ejections: int = 0  # in a row
    ejected_until: float = 0.0  # monotonic
    is_probing: bool = False
    is_checked: bool = False  # somebody checks it
    is_down: bool = False  # as the checks say

    def may_ask(self, now: float) -> bool:
        """Whether the balancer may choose this member."""
        if self.is_down:
            return False
        if not self.ejections:
            return True
        return now >= self.ejected_until and not self.is_probing and not self.is_checked

    def asked(self, now: float) -> bool:
        """The member was chosen. True: this request is the probe; say so when it ends."""
        if not self.ejections or not self.may_ask(now):
            return False
        self.is_probing = True
        return True

    def answered(self) -> bool:
        """The member gave an answer, so it lives. True: it is back, it was ejected until now."""
        was_ejected = self.ejections > 0
        self.failures = self.ejections = 0
        self.is_probing = False
        return was_ejected

    def failed(self, was_probe: bool, now: float, dice: float) -> bool:
        """The member failed. dice: 0..1, for the spread. True: it was well, and is ejected now."""
        if self.ejections:
            if was_probe:
                self._eject(now, dice)
            return False
        self.failures += 1
        if self.failures < FAILURES:
            return False
        self._eject(now, dice)
        return True

    def checked(self, is_up: bool, now: float) -> bool:
        """An active check has found it up or down. True: it is back."""
        was_down, self.is_down = self.is_down, not is_up
        self.is_checked = True
        if not is_up or (self.ejections and now < self.ejected_until):
            return False
        return self.answered() or was_down

    def unchecked(self) -> None:
        """Nobody checks it any more: what the checks said does not hold for ever."""
        self.is_checked = self.is_down = False

    def forgiven(self) -> None:
        """An operator says that it is well; but for what checks say, which he can see."""
        self.failures = self.ejections = 0
        self.is_probing = False

    def released(self, was_probe: bool) -> None:
        """The request was given up before it told anything."""
        if was_probe:
            self.is_probing = False

    def _eject(self, now: float, dice: float) -> None:
        pause = min(FIRST * 2.0 ** min(self.ejections, 10), LONGEST)  # 2 ** 1024 would overflow
        self.ejected_until = now + pause * (1.0 + SPREAD * (2.0 * dice - 1.0))
        self.ejections += 1
        self.failures = 0
        self.is_probing = False
