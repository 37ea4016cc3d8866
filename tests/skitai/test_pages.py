"""The server's own pages."""

from __future__ import annotations

from skitai.pages import error_page


def test_error_page_escapes() -> None:
    """What a client sent comes back as text; the page follows the reader's light or dark."""
    page = error_page(404, "<script>alert(1)</script>", 'File "<x>", line 1').decode()

    assert "<script>" not in page
    assert "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>" in page
    assert "<pre>File &quot;&lt;x&gt;&quot;, line 1</pre>" in page
    assert "<h1>404 Not Found</h1>" in page
    assert '<meta name="color-scheme" content="light dark">' in page


def test_error_page_of_any_text() -> None:
    """Lone surrogates, as in names of files that are not UTF-8, do not make it fail."""
    assert b"<p>a?b</p>" in error_page(500, "a\udcffb")


TRACE = """\
Traceback (most recent call last):
  File "webapp.py", line 3, in <module>
    import helper
  File "helper.py", line 7
    html = ("<b>"
           ^
SyntaxError: '(' was never closed"""


def test_traceback_has_its_last_line_marked() -> None:
    """All of it is text."""
    page = error_page(500, trace=TRACE).decode()

    assert page.count("<mark>") == 1
    assert "\n    <mark>html = (&quot;&lt;b&gt;&quot;</mark>\n           ^\nSyntaxError: " in page
    assert "<b>" not in page


def test_traceback_without_source() -> None:
    """As of a file that is gone: nothing is marked."""
    page = error_page(500, trace='  File "<string>", line 1, in <module>\nKeyError: 1').decode()

    assert "<mark>" not in page
    assert "line 1, in &lt;module&gt;\nKeyError: 1</pre>" in page
