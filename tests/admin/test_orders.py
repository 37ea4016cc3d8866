"""What can be done on the status page."""

from __future__ import annotations

import imagined_status
import pytest
from msgspec.structs import replace

from skitaid.workers.admin import orders
from skitaid.workers.admin.orders import KINDS, STATES, Order

STATUS = imagined_status.status(clusters=2, members=2)


@pytest.mark.parametrize("what", sorted(KINDS))
def test_orders_are_read_as_they_are_written(what: str) -> None:
    """Members have colons in their names, and unix sockets slashes."""
    whom = [("web", "10.0.0.1:5000"), ("web", "[::1]:80"), ("web", "unix:/run/a:b")]
    for cluster, node in whom if what in STATES else [("", "")]:
        order = Order(what, cluster, node)
        assert orders.read(order.text) == order


@pytest.mark.parametrize(
    "text",
    [
        "",
        "explode",
        "reload:web:a:1",
        "drain",
        "drain:",
        "drain:web",
        "drain:web:",
        "drain::a:1",
        "drain:a:b\nc",
    ],
)
def test_other_texts_are_no_orders(text: str) -> None:
    """They are refused with a sentence."""
    with pytest.raises(ValueError, match="is nothing that can be done here"):
        orders.read(text)


def test_what_is_asked_about_again() -> None:
    """All after which requests fail or members are pressed; draining only of the last one."""
    dangerous = {what for what in KINDS if orders.is_dangerous(Order(what, "search", "x"), STATUS)}
    assert dangerous == {"clear", "restart", "stop", "disable"}
    assert all(KINDS[what].question for what in dangerous)

    cluster = STATUS.clusters[1]
    up, drained = cluster.members
    assert (up.state, drained.state) == ("up", "drained")
    assert orders.is_dangerous(Order("drain", cluster.name, up.node), STATUS)
    both = replace(cluster, members=[up, replace(drained, state="up")])
    status = replace(STATUS, clusters=[both])
    assert not orders.is_dangerous(Order("drain", cluster.name, up.node), status)


def test_members_must_be_there() -> None:
    """Of their own cluster, as the document has them."""
    node = STATUS.clusters[0].members[0].node
    assert orders.is_known(Order("drain", "search", node), STATUS)
    assert not orders.is_known(Order("drain", "billing", node), STATUS)
    assert not orders.is_known(Order("drain", "search", "10.9.9.9:1"), STATUS)
    assert orders.is_known(Order("reload"), STATUS)


def test_databases_are_members_too() -> None:
    """What holds for servers holds for them."""
    status = replace(STATUS, clusters=[], databases=[replace(STATUS.clusters[0], name="mydb")])
    one, other = (each.node for each in status.databases[0].members)
    assert orders.is_known(Order("drain", "mydb", one), status)
    assert not orders.is_dangerous(Order("drain", "mydb", one), status)
    assert not orders.is_known(Order("drain", "search", other), status)


def test_orders_in_the_log() -> None:
    """They are told with the member they are for."""
    assert str(Order("drain", "search", "a:1")) == "drain a:1 of @search"
    assert str(Order("clear")) == "clear the result cache"
