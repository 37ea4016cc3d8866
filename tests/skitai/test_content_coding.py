"""Content codings: what comes out, and what becomes of those that are broken or huge."""

from __future__ import annotations

import gzip
import subprocess
import sys
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from imagined_engine import reply

from skitai import content_coding, decoding
from skitai.content_coding import BadContentCoding, decoded, names
from skitai.engine import Reply
from skitai.results import Status

PAGE = "Käse. ".encode() * 4000  # more than one piece of input in each coding


def raw_deflate(body: bytes) -> bytes:
    """As some servers take "deflate" to mean."""
    coder = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return coder.compress(body) + coder.flush()


CODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "deflate, bare": raw_deflate,
    "br": brotli.compress,
    "zstd": zstandard.compress,
}
EACH = pytest.mark.parametrize("coder", CODERS)


def coded(coder: str, body: bytes) -> tuple[bytes, list[str]]:
    return CODERS[coder](body), [coder.partition(",")[0]]


def answer(body: bytes, coding: str, code: int = 200) -> Reply:
    """A page in a content coding."""
    plain = reply(body, "text/plain", code=code)
    fields = (*plain.fields, (b"Content-Encoding", coding.encode()))
    return Reply(0, "s0:80", Status.NORMAL, code, "", fields, body, 0.25)


# --- what is broken ---


@EACH
def test_a_body_that_ends_too_soon_is_told(coder: str) -> None:
    """Wherever it was cut off: half a page never counts as a page."""
    whole, codings = coded(coder, PAGE)
    for end in {1, 2, len(whole) // 2, len(whole) - 1}:
        with pytest.raises(BadContentCoding):
            decoded(whole[:end], codings)


@EACH
def test_what_is_behind_a_body_is_not_passed_over(coder: str) -> None:
    """A body is all of it in its coding."""
    whole, codings = coded(coder, PAGE)
    with pytest.raises(BadContentCoding):
        decoded(whole + b"and more", codings)


@EACH
def test_bytes_of_no_coding_are_told(coder: str) -> None:
    """The sentence names the coding."""
    _, codings = coded(coder, b"")
    with pytest.raises(BadContentCoding, match=codings[0].removeprefix("x-")):
        decoded(b"<h1>It works!</h1>", codings)


@EACH
def test_a_few_bytes_that_stand_for_too_many_are_refused(coder: str) -> None:
    """To the byte: as many as are allowed are decoded."""
    body = bytes(100_000)
    bomb, codings = coded(coder, body)
    assert decoded(bomb, codings, most=100_000) == body
    with pytest.raises(BadContentCoding, match="stands for more than 99999 bytes"):
        decoded(bomb, codings, most=99_999)


def test_a_bomb_within_a_bomb_is_refused_as_well() -> None:
    """Each layer has the same cap."""
    bomb = gzip.compress(gzip.compress(bytes(1_000_000)))
    with pytest.raises(BadContentCoding, match="more than 999999 bytes"):
        decoded(bomb, ["gzip", "gzip"], most=999_999)


def test_codings_cannot_be_piled_up() -> None:
    """Six layers are no accident."""
    body = b"page"
    for _ in range(6):
        body = gzip.compress(body)
    with pytest.raises(BadContentCoding, match="coded 6 times over"):
        decoded(body, ["gzip"] * 6)


def test_zstd_cannot_ask_for_any_memory() -> None:
    """RFC 9659: a window of more than 8 MiB is not for the web."""
    parameters = zstandard.ZstdCompressionParameters(window_log=27, format=0)
    whole = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    body = whole.compress(bytes(1_000_000)) + whole.flush()
    with pytest.raises(BadContentCoding, match="zstd"):
        decoded(body, ["zstd"])


# --- what is right ---


@EACH
@given(body=st.binary(max_size=5000))
def test_bodies_come_out_as_they_went_in(coder: str, body: bytes) -> None:
    """Whatever they hold."""
    assert decoded(*coded(coder, body)) == body
    assert decoded(*coded(coder, body * 100)) == body * 100


@pytest.mark.parametrize("coder", ["gzip", "zstd"])
def test_several_members_are_one_body(coder: str) -> None:
    """As `cat a.gz b.gz` makes it."""
    whole, codings = coded(coder, PAGE)
    assert decoded(whole * 3, codings) == PAGE * 3


def test_codings_are_removed_in_the_reverse_order() -> None:
    """The last one named was applied last."""
    body = brotli.compress(gzip.compress(PAGE))
    assert decoded(body, ["gzip", "br"]) == PAGE


def test_an_empty_body_is_in_any_coding() -> None:
    """HEAD and 304 name the coding of what they do not send."""
    assert decoded(b"", ["gzip", "br"]) == b""


def test_a_coding_that_is_not_known_is_left_alone() -> None:
    """And so are those above and below it."""
    assert decoded(b"...", ["gzip", "snappy"]) is None


@pytest.mark.parametrize(
    ("values", "codings"),
    [
        ([], []),
        ([b"gzip"], ["gzip"]),
        ([b"GZip , br"], ["gzip", "br"]),
        ([b"gzip", b"br"], ["gzip", "br"]),
        ([b"identity"], []),
        ([b", ,"], []),
    ],
)
def test_codings_are_read_from_all_fields(values: list[bytes], codings: list[str]) -> None:
    """One line or several, in any case of letters."""
    fields = [(b"Content-Type", b"text/plain"), *((b"Content-Encoding", each) for each in values)]
    assert names(fields) == codings


def test_only_what_can_be_decoded_is_asked_for() -> None:
    """gzip and deflate always, the others when they can be imported."""
    assert content_coding.ACCEPTED == b"Accept-Encoding: gzip, deflate, br, zstd\r\n"
    hidden = (
        "import sys; sys.modules['brotli'] = sys.modules['zstandard'] = None;"
        "from skitai import content_coding; print(content_coding.ACCEPTED)"
    )
    told = subprocess.run([sys.executable, "-c", hidden], capture_output=True, check=True)
    assert told.stdout == b"b'Accept-Encoding: gzip, deflate\\r\\n'\n"


# --- in results ---


def test_a_page_is_text_behind_its_coding() -> None:
    """Its headers are as they came."""
    result = decoding.http(answer(gzip.compress(PAGE), "gzip"))
    assert (result.status, result.data) == (3, PAGE.decode())
    assert result.get_header("content-encoding") == "gzip"


def test_a_page_that_cannot_be_decoded_is_status_2() -> None:
    """The sentence names the member, the code is what it answered."""
    result = decoding.http(answer(gzip.compress(PAGE)[:-1], "gzip"))
    assert (result.status, result.code, result.data) == (2, 200, "")
    assert result.msg == "s0:80 sent gzip that ends too soon"


@pytest.mark.parametrize(("coding", "code"), [("snappy", 200), ("gzip", 206)])
def test_what_cannot_be_decoded_here_is_bytes(coding: str, code: int) -> None:
    """An unknown coding, or a part of a coded page: the app may know better."""
    result = decoding.http(answer(b"\xff...", coding, code))
    assert (result.status, result.data) == (3, b"\xff...")


def test_remote_procedures_may_answer_in_a_coding() -> None:
    """Both formats; and a broken one is status 2."""
    body = gzip.compress(b'{"result": 7}')
    assert decoding.json_rpc(answer(body, "gzip")).data == 7
    broken = decoding.json_rpc(answer(body[:-1], "gzip"))
    assert (broken.status, broken.msg) == (2, "s0:80 sent gzip that ends too soon")
    unknown = decoding.json_rpc(answer(body, "snappy"))
    assert (unknown.status, unknown.data) == (2, "")
