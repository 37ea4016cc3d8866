"""The server's own pages."""

from __future__ import annotations

from skitai.pages import error_page


def test_error_page_escapes() -> None:
    """What a client sent comes back as text."""
    page = error_page(404, "<script>alert(1)</script>", 'File "<x>", line 1').decode()

    assert "<script>" not in page
    assert "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>" in page
    assert "<pre>File &quot;&lt;x&gt;&quot;, line 1</pre>" in page
    assert "<h1>404 Not Found</h1>" in page


def test_error_page_of_any_text() -> None:
    """Lone surrogates, as in names of files that are not UTF-8, do not make it fail."""
    assert b"<p>a?b</p>" in error_page(500, "a\udcffb")
