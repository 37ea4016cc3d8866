"""Sealing: text that only who has the key can read or make.

AES-256-GCM with random nonces (NIST SP 800-38D), base64url without padding. The nonces are good
for 2**32 seals of one key (section 8.3 there). Each key is made of one securekey by HKDF-SHA256
(RFC 5869), which spreads what is random in it but adds nothing: a securekey that can be guessed
stays one.

One per worker, used by all its threads. It has no state but the keys, made when first needed.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from functools import cached_property

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_INFO = b"skitai seal 1"  # another one makes other keys, which open nothing of today
_NONCE = 12  # bytes, as SP 800-38D recommends
_TAG = 16


class Seal:
    """Seals with the first of its keys, opens with any of them.

    keys: the securekeys of the conf, at least one.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = keys

    def seal(self, plain: bytes, purpose: bytes) -> str:
        """`plain` as letters, digits, - and _; `sealed_length` of them.

        purpose: what it is for. It is not in the text, but opens it.
        """
        nonce = os.urandom(_NONCE)
        return _to_text(nonce + self._ciphers[0].encrypt(nonce, plain, purpose))

    def open(self, text: str, purpose: bytes) -> bytes | None:
        """What was sealed; None for all else: other keys, another purpose, a changed character."""
        try:
            sealed = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except ValueError:
            return None
        # Base64 may spell the same bytes in several ways. Only ours is taken.
        if len(sealed) < _NONCE + _TAG or _to_text(sealed) != text:
            return None
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], purpose)
            except InvalidTag:
                continue
        return None

    @cached_property
    def _ciphers(self) -> list[AESGCM]:
        return [AESGCM(_derived(key.encode("utf-8"))) for key in self._keys]


def sealed_length(plain: int) -> int:
    """Characters of the text that so many bytes are sealed to."""
    return -(-(_NONCE + plain + _TAG) * 4 // 3)


def _derived(key: bytes) -> bytes:
    return HKDF(SHA256(), length=32, salt=None, info=_INFO).derive(key)


def _to_text(sealed: bytes) -> str:
    return urlsafe_b64encode(sealed).rstrip(b"=").decode("ascii")
