"""What an operator can have done on the status page: how a form says it, what it is called.

Pure. Some are asked about again before they are done: those after which requests fail, or members
get many more of them than before.
"""

from __future__ import annotations

import msgspec

from skitaid.workers.standing import State

from .document import Status


class Order(msgspec.Struct, frozen=True):
    """what: a key of `KINDS`. cluster, node: of a member; "" for orders to the server."""

    what: str
    cluster: str = ""
    node: str = ""

    @property
    def text(self) -> str:
        """As it is in a form."""
        return ":".join((self.what, self.cluster, self.node)) if self.cluster else self.what

    @property
    def whom(self) -> str:
        """The member, for people."""
        return f"{self.node} of @{self.cluster}"

    def __str__(self) -> str:
        """For the log."""
        return f"{self.what} {self.whom}" if self.cluster else KINDS[self.what].label.lower()


class Kind(msgspec.Struct, frozen=True):
    """label: of the button that does it. question, consequence: before it is done; "" is not asked.

    done: what the page says afterwards. Where a member is meant, `{}` stands for it.
    """

    label: str
    done: str
    question: str = ""
    consequence: str = ""


KINDS = {
    "reload": Kind(
        "Reload", "The conf and the apps are being read again; new workers take over one by one."
    ),
    "more": Kind("One worker more", "There shall be one worker more."),
    "fewer": Kind("One worker less", "There shall be one worker less; one stays in any case."),
    "stacks": Kind("Show stacks", ""),
    "clear": Kind(
        "Clear the result cache",
        "The result caches of all workers are empty.",
        "Clear the result cache?",
        "All that handlers have kept of what other servers said is forgotten, in all workers. Those"
        " servers are asked again for all of it.",
    ),
    "restart": Kind(
        "Restart",
        "The server restarts, if a trial shows that it will come up.",
        "Restart the server?",
        "The program is run anew, with the code, conf and Python there are now. Connections are"
        " kept and requests are answered. If it does not come up in a trial, nothing changes.",
    ),
    "stop": Kind(
        "Stop",
        "The server stops when all is answered, and this page with it.",
        "Stop the server?",
        "What is in hand is answered, then the server ends. It can not be started from here again:"
        " that takes skitaid start.",
    ),
    "drain": Kind(
        "Drain",
        "{} is drained: it answers what it has, and gets nothing more.",
        "Drain {}?",
        "No other member of its cluster is up: handlers that ask the cluster get nothing then.",
    ),
    "enable": Kind("Enable", "{} is asked again."),
    "disable": Kind(
        "Disable",
        "{} is disabled.",
        "Disable {}?",
        "It gets nothing more, and what it has not answered yet is cut off: those requests fail."
        " Drain it to let it finish.",
    ),
}
STATES = {"drain": State.DRAINED, "enable": State.ENABLED, "disable": State.DISABLED}


def read(text: str) -> Order:
    """An order from a form. Raises ValueError, with a sentence, for what is none."""
    what, _, whom = text.partition(":")
    cluster, _, node = whom.partition(":")
    if not text.isprintable() or what not in KINDS or (what in STATES) != bool(cluster and node):
        raise ValueError(f"{text[:80]!r} is nothing that can be done here.")
    return Order(what, cluster, node)


def is_known(order: Order, status: Status) -> bool:
    """Whether there is such a member."""
    return not order.cluster or any(
        member.node == order.node
        for cluster in (*status.clusters, *status.databases)
        if cluster.name == order.cluster
        for member in cluster.members
    )


def is_dangerous(order: Order, status: Status) -> bool:
    """Whether it is asked about again."""
    if order.what == "drain":
        return not any(
            member.state == "up" and member.node != order.node
            for cluster in (*status.clusters, *status.databases)
            if cluster.name == order.cluster
            for member in cluster.members
        )
    return bool(KINDS[order.what].question)
