"""Sealing: what is opened is what was sealed, by one of us, for this purpose. All else is None."""

from __future__ import annotations

import os
import re
from base64 import urlsafe_b64encode
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skitai.seal import Seal, sealed_length

SEAL = Seal(["securekey"])
PURPOSE = b"a purpose"
BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@given(st.binary(max_size=100), st.data())
def test_a_changed_character_opens_nothing(plain: bytes, data: st.DataObject) -> None:
    """Whichever it is and whatever it becomes: the last one too, of which base64 ignores bits."""
    text = SEAL.seal(plain, PURPOSE)
    at = data.draw(st.integers(0, len(text) - 1) | st.just(len(text) - 1))
    other = data.draw(st.sampled_from(BASE64URL) | st.characters(), "becomes")
    changed = text[:at] + other + text[at + 1 :]

    assert SEAL.open(changed, PURPOSE) == (plain if changed == text else None)


@pytest.mark.parametrize("size", range(4))
def test_each_other_last_character_opens_nothing(size: int) -> None:
    """For all lengths that base64 can end with."""
    text = SEAL.seal(b"x" * size, PURPOSE)
    opened = [end for end in BASE64URL if SEAL.open(text[:-1] + end, PURPOSE) is not None]

    assert opened == [text[-1]]


@given(st.binary(max_size=50), st.data())
def test_a_part_opens_nothing(plain: bytes, data: st.DataObject) -> None:
    """What is cut off at either end, or has something more."""
    text = SEAL.seal(plain, PURPOSE)
    begin = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(0, len(text) - (begin == 0)))

    assert SEAL.open(text[begin:end], PURPOSE) is None
    for more in ("A", "=", "==", " ", "\n", "%", "\0", "é"):
        assert SEAL.open(text + more, PURPOSE) is None
        assert SEAL.open(more + text, PURPOSE) is None


@given(st.text() | st.text(BASE64URL, max_size=200))
def test_nonsense_opens_nothing(text: str) -> None:
    """Whatever a client makes up."""
    assert SEAL.open(text, PURPOSE) is None


@given(st.binary(max_size=100).map(lambda raw: urlsafe_b64encode(raw).rstrip(b"=").decode()))
def test_well_spelt_nonsense_opens_nothing(text: str) -> None:
    """Short ones, which have no room for nonce and tag, too."""
    assert SEAL.open(text, PURPOSE) is None


def test_another_purpose_opens_nothing() -> None:
    """What was sealed for one use passes for no other, by the same key."""
    assert SEAL.open(SEAL.seal(b"x", b"a"), b"b") is None


def test_another_key_opens_nothing() -> None:
    """Nor does one that only begins alike."""
    text = Seal(["securekey1"]).seal(b"x", PURPOSE)
    assert Seal(["securekey2"]).open(text, PURPOSE) is None
    assert Seal(["securekey1 "]).open(text, PURPOSE) is None


@given(st.binary())
def test_round_trip(plain: bytes) -> None:
    """Any bytes, as text that may stand in a cookie."""
    text = SEAL.seal(plain, PURPOSE)

    assert SEAL.open(text, PURPOSE) == plain
    assert re.fullmatch(r"[A-Za-z0-9_-]+", text)
    assert len(text) == sealed_length(len(plain))


def test_nobody_sees_that_it_is_the_same() -> None:
    """Each seal has a nonce of its own."""
    assert len({SEAL.seal(b"x", PURPOSE) for _ in range(100)}) == 100


def test_change_of_key() -> None:
    """The first seals, all open."""
    old, both, new = Seal(["old-key"]), Seal(["new-key", "old-key"]), Seal(["new-key"])
    before, after = old.seal(b"x", PURPOSE), both.seal(b"y", PURPOSE)

    assert both.open(before, PURPOSE) == b"x"
    assert both.open(after, PURPOSE) == new.open(after, PURPOSE) == b"y"
    assert new.open(before, PURPOSE) is old.open(after, PURPOSE) is None


def test_what_was_sealed_once_opens_for_ever() -> None:
    """The format is held: servers of several versions share sessions."""
    text = "AAECAwQFBgcICQoL22jyA-lBsOSZB_NlBw7zRADG7I51oQ"
    assert Seal(["ключ-key"]).open(text, b"session 1") == b"sealed"


def test_threads_seal_at_once() -> None:
    """A worker's threads share the seal, from its first use on."""
    seal = Seal(["securekey"])

    def work(_: int) -> bool:
        plains = [os.urandom(50) for _ in range(200)]
        return [seal.open(seal.seal(each, PURPOSE), PURPOSE) for each in plains] == plains

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(16)))
