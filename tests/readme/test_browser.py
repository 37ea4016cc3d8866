"""The README's form, filled in by a person at a browser: headless Chromium, if there is one."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsers import chromium
from readme_apps import Serve
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait
from waits import PATIENCE

FORM = """\
<!doctype html>
<meta charset="utf-8">
<title>Upload</title>
<form action="/test/up" enctype="multipart/form-data" method="post">
  <input type="hidden" name="submit-hidden" value="Hidden">
  <p>What is your name? <input type="text" name="submit-name" value="Hans Roh"></p>
  <p>What files are you sending? <input type="file" name="file"></p>
  <input type="submit" value="Send">
  <input type="reset">
</form>
"""


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    """Chromium, with a profile of its own."""
    with chromium(tmp_path / "profile") as started:
        yield started


def test_upload_of_a_form(serve: Serve, browser: webdriver.Chrome, tmp_path: Path) -> None:
    """Name, type and size of the file arrive, and the fields; umlauts and quotes survive."""
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / "form.html").write_text(FORM)
    file = tmp_path / 'Größe "1".sql'
    file.write_bytes(b"x" * 511)
    server = serve(f"/ = {pages}\n/ = {{app}}/arguments")

    browser.get(f"http://127.0.0.1:{server.port}/form.html")
    name = browser.find_element(By.NAME, "submit-name")
    name.clear()
    name.send_keys("Zoë & Söhne")
    browser.find_element(By.NAME, "file").send_keys(str(file))
    browser.find_element(By.CSS_SELECTOR, "[type=submit]").click()
    WebDriverWait(browser, PATIENCE).until(lambda each: each.current_url.endswith("/test/up"))

    shown = browser.find_element(By.TAG_NAME, "body").text.partition("\n")[0]
    fields = ast.literal_eval(shown)
    assert (fields["submit-hidden"], fields["submit-name"]) == ("Hidden", "Zoë & Söhne")
    assert (fields["file"]["remote"], fields["file"]["size"]) == ('Größe "1".sql', 511)
    assert not Path(fields["file"]["local"]).exists()
