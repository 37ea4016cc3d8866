"""The type of a file, by its name."""

from __future__ import annotations

import pytest

from skitai import media_types
from skitaid.workers.web.compression import is_compressible


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.html", "text/html; charset=utf-8"),
        ("a.HTM", "text/html; charset=utf-8"),
        ("a.css", "text/css; charset=utf-8"),
        ("a.min.js", "text/javascript; charset=utf-8"),
        ("a.mjs", "text/javascript; charset=utf-8"),
        ("a.txt", "text/plain; charset=utf-8"),
        ("a.md", "text/markdown; charset=utf-8"),
        ("a.js.map", "application/json"),
        ("a.json", "application/json"),
        ("a.svg", "image/svg+xml"),
        ("a.png", "image/png"),
        ("a.webp", "image/webp"),
        ("a.avif", "image/avif"),
        ("a.woff2", "font/woff2"),
        ("a.wasm", "application/wasm"),
        ("a.webmanifest", "application/manifest+json"),
        ("a.pdf", "application/pdf"),
        ("a.tar.gz", "application/gzip"),
        ("a.css.br", "application/octet-stream"),
        ("a.unknown", "application/octet-stream"),
        ("README", "application/octet-stream"),
        ("README.", "application/octet-stream"),
        ("dir.css/README", "application/octet-stream"),
    ],
)
def test_type(name: str, kind: str) -> None:
    """By the last suffix, case ignored; text is UTF-8, what is unknown is bytes."""
    assert media_types.of(f"/srv/{name}") == kind


@pytest.mark.parametrize("name", ["a.css", "a.json", "a.svg", "a.wasm", "a.xml", "a.js.map"])
def test_text_is_worth_compressing(name: str) -> None:
    """Also where it is not called text."""
    assert is_compressible(media_types.of(name))


@pytest.mark.parametrize("name", ["a.png", "a.gz", "a.woff2", "a.mp4", "a.zip", "a"])
def test_what_is_packed_is_not_worth_compressing(name: str) -> None:
    """It would only become larger."""
    assert not is_compressible(media_types.of(name))
