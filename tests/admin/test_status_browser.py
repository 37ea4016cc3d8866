"""An operator at a browser, who looks at a server under load and acts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsers import chromium, look_as
from looks import CONF, PASSWORD
from operator_session import Home
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.expected_conditions import staleness_of
from selenium.webdriver.support.wait import WebDriverWait
from served import Server
from waits import PATIENCE

from skitaid.workers.admin.attention import member_place

APP = """
import time

from skitai.server import ssgi

app = ssgi.Application(__name__)


@app.route("/hello")
def hello(was):
    return "hello"


@app.route("/ask")
def ask(was):
    return was.lb("back/hello", method="GET").getwait(2).data


@app.route("/slow")
def slow(was):
    rs = was.map("back/hello", method="GET").getswait(2)
    time.sleep(0.05)
    return [each.status for each in rs]


@app.route("/broken")
def broken(was):
    raise ValueError("no luck")
"""

REQUESTS = 6  # column of a member's row
ACCESSIBILITY = (Path(__file__).parent / "accessibility.js").read_text()


class Load:
    """Somebody who asks for one page after the other, until told to stop."""

    def __init__(self, server: Server, path: str) -> None:
        self._server, self._path = server, path
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._is_over.set()
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        while not self._is_over.wait(0.005):
            assert self._server.get(self._path).status == 200


@pytest.fixture(scope="module")
def members(shared_home: Home) -> list[Server]:
    """Two servers that are asked."""
    app = {"member.py": APP}
    return [
        shared_home.serve(name, apps=app, routes="/ = {app}/member") for name in ("one", "other")
    ]


@pytest.fixture(scope="module")
def server(shared_home: Home, members: list[Server]) -> Server:
    """The server that is looked at."""
    listed = ", ".join(f"127.0.0.1:{each.port}" for each in members)
    started = shared_home.serve(
        "web",
        apps={"webapp.py": APP},
        processes=2,
        more=f"{CONF}\nsecurekey = key-of-these-tests",
        sections=f"[@back]\nmembers = {listed}\n",
    )
    for path in ("/hello", "/slow", "/ask", "/nothing", "/broken"):
        started.get(path)
    return started


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def browser(started: webdriver.Chrome, server: Server) -> webdriver.Chrome:
    """At the status page, signed in."""
    look_as(started, width=1280, height=900)
    password = PASSWORD.replace(" ", "%20")
    started.get(f"http://admin:{password}@127.0.0.1:{server.port}/skitai/status")
    started.get(page(server))
    return started


def page(server: Server) -> str:
    return f"http://127.0.0.1:{server.port}/skitai/status"


def patiently(browser: webdriver.Chrome) -> WebDriverWait[webdriver.Chrome]:
    """Look again and again, also when the page is just being left for another one."""
    return WebDriverWait(browser, PATIENCE, ignored_exceptions=(WebDriverException,))


def until_text(browser: webdriver.Chrome, place: str, text: str) -> None:
    """Wait until an element says it, without asking for the page again."""
    script = "return document.getElementById(arguments[0])?.textContent"
    try:
        patiently(browser).until(lambda each: text in (each.execute_script(script, place) or ""))
    except Exception as error:
        said = browser.execute_script(script, place)
        raise AssertionError(f"#{place} does not say {text!r}, but {said!r}") from error


def number(browser: webdriver.Chrome, place: str, column: int) -> int:
    """What a row says in a column."""
    script = "return document.getElementById(arguments[0]).children[arguments[1]].textContent"
    text = browser.execute_script(script, place, column).replace(",", "").partition("/")[0]
    return int(text)


def act(browser: webdriver.Chrome, label: str) -> None:
    """Click one of the actions."""
    browser.find_element(By.CSS_SELECTOR, ".menu summary").click()
    follow(browser, browser.find_element(By.XPATH, f"//div/button[normalize-space()='{label}']"))


def follow(browser: webdriver.Chrome, element: WebElement) -> None:
    """Click what leads to another page; come back when that has taken this one's place."""
    old = browser.find_element(By.TAG_NAME, "html")
    element.click()
    patiently(browser).until(staleness_of(old))


def heading(browser: webdriver.Chrome, text: str) -> None:
    """Wait for the page with this heading, loaded whole."""
    script = "return document.readyState === 'complete' && document.querySelector('h1').innerText"
    patiently(browser).until(lambda each: each.execute_script(script) == text)


def test_counts_rise_while_one_looks(browser: webdriver.Chrome, server: Server) -> None:
    """Without a reload: what the page has kept in mind is still there, and so is the focus."""
    browser.execute_script("window.kept = 1; document.querySelector('.menu summary').focus()")
    until_text(browser, "live", "Live")
    requests = "return document.querySelector('.tiles dd').textContent.replaceAll(',', '')"
    before = int(browser.execute_script(requests))
    with Load(server, "/hello"):
        patiently(browser).until(lambda each: int(each.execute_script(requests)) > before + 20)
    assert browser.execute_script("return [window.kept, document.activeElement.tagName]") == [
        1,
        "SUMMARY",
    ]


def test_pause(browser: webdriver.Chrome) -> None:
    """Who wants to read in peace can, and goes on afterwards."""
    until_text(browser, "live", "Live")
    button = browser.find_element(By.ID, "pause")
    button.click()
    until_text(browser, "live", "Paused")
    assert button.text == "Go on"
    button.click()
    until_text(browser, "live", "Live")


def test_a_page_that_nobody_sees_asks_nothing(browser: webdriver.Chrome) -> None:
    """Its stream is closed, and opened again when it is seen."""
    until_text(browser, "live", "Live")
    hide = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true});"
    tell = "document.dispatchEvent(new Event('visibilitychange'))"
    browser.execute_script(hide % "true" + tell)
    assert browser.execute_script("return source") is None
    browser.execute_script(hide % "false" + tell)
    assert browser.execute_script("return source !== null")


def test_from_a_slow_request_to_the_pool(browser: webdriver.Chrome, members: list[Server]) -> None:
    """A click opens it, a click leads to the member, a click to its pool; all are marked."""
    row = browser.find_element(By.XPATH, "//section[@id='slow']//li[contains(., '/slow')]")
    row.find_element(By.TAG_NAME, "summary").click()
    link = row.find_element(By.CSS_SELECTOR, "tbody a")
    node = link.text
    assert node in {f"127.0.0.1:{each.port}" for each in members}
    link.click()
    member = browser.find_element(By.CSS_SELECTOR, ":target")
    assert member.text.startswith(node)
    member.find_element(By.CSS_SELECTOR, "a[href^='#pool']").click()
    pool = browser.find_element(By.CSS_SELECTOR, ":target")
    assert pool.text.startswith(f"{node} @back")


def test_an_action_without_the_token_is_refused(browser: webdriver.Chrome) -> None:
    """As one of another site would be, which does not know it."""
    browser.execute_script("document.querySelector('#act [name=token]').value = 'guessed'")
    act(browser, "Reload")
    heading(browser, "Refused")
    assert "its token is missing or wrong" in browser.find_element(By.TAG_NAME, "main").text
    follow(browser, browser.find_element(By.LINK_TEXT, "Back to the status"))
    heading(browser, "web")


def test_reload(browser: webdriver.Chrome, server: Server) -> None:
    """The page says what it does, and goes on through it: another worker sends what is new."""
    facts = browser.find_element(By.CLASS_NAME, "facts").text
    generation = int(facts.partition("generation ")[2].split()[0])
    act(browser, "Reload")
    until_text(browser, "main", "The conf and the apps are being read again")
    browser.execute_script("window.kept = 1")
    until_text(browser, "head", f"generation {generation + 1}")
    server.wait_log("the reload is complete")
    until_text(browser, "live", "Live")
    assert browser.execute_script("return window.kept") == 1


def test_draining_a_member(
    browser: webdriver.Chrome, server: Server, members: list[Server]
) -> None:
    """Traffic leaves it, which the page shows, and comes back when it is enabled."""
    drained, other = (f"127.0.0.1:{each.port}" for each in members)
    places = [member_place("back", each) for each in (drained, other)]
    with Load(server, "/ask"):
        until_rise(browser, places)
        press(browser, f"Drain {drained}")
        until_text(browser, "main", f"{drained} of @back is drained: it answers what it has")
        until_text(browser, places[0], "○ drained")
        until_text(browser, "live", "Live")
        idle = members[0].status().workers[0].requests
        until_rise(browser, places[1:])
        until_rise(browser, places[1:])
        assert members[0].status().workers[0].requests == idle
        server.wait_log(f"admin from 127.0.0.1 on the status page: [@back]: {drained} is drained")
        press(browser, f"Enable {drained}")
        until_text(browser, places[0], "● up")
        until_rise(browser, places)


def test_the_last_member_is_asked_about(browser: webdriver.Chrome, members: list[Server]) -> None:
    """As nobody would be left to ask; whoever says yes has it."""
    one, last = (f"127.0.0.1:{each.port}" for each in members)
    press(browser, f"Drain {one}")
    press(browser, f"Drain {last}")
    heading(browser, f"Drain {last} of @back?")
    follow(browser, browser.find_element(By.CSS_SELECTOR, "button.danger"))
    until_text(browser, "attention", "@back has no member that is up.")
    for each in (one, last):
        press(browser, f"Enable {each}")
        until_text(browser, member_place("back", each), "● up")


def test_disabling_a_member_is_asked_about(
    browser: webdriver.Chrome, members: list[Server]
) -> None:
    """What it has not answered would fail."""
    node = f"127.0.0.1:{members[1].port}"
    press(browser, f"Disable {node}; asks again")
    heading(browser, f"Disable {node} of @back?")
    follow(browser, browser.find_element(By.CSS_SELECTOR, "button.danger"))
    until_text(browser, member_place("back", node), "✕ disabled")
    press(browser, f"Enable {node}")
    until_text(browser, member_place("back", node), "● up")


def press(browser: webdriver.Chrome, name: str) -> None:
    """A button of a member, by what it is called."""
    found = browser.find_element(By.CSS_SELECTOR, f"button[aria-label='{name}']")
    follow(browser, found)


def until_rise(browser: webdriver.Chrome, places: list[str]) -> None:
    """Wait until each of these members has got more requests."""
    until_text(browser, "live", "Live")
    before = [number(browser, each, REQUESTS) for each in places]
    patiently(browser).until(
        lambda each: all(
            number(each, place, REQUESTS) > had for place, had in zip(places, before, strict=True)
        )
    )


def test_a_dangerous_action_is_asked_about(browser: webdriver.Chrome, server: Server) -> None:
    """No is the first choice; the page is there again."""
    act(browser, "Stop …")
    heading(browser, "Stop the server?")
    focused = browser.switch_to.active_element
    assert focused.text == "No, back to the status"
    follow(browser, focused)
    heading(browser, "web")
    assert server.status().state == "serving"


def test_without_scripts(browser: webdriver.Chrome) -> None:
    """The page is the same; actions are forms, refreshing is a link."""
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        follow(browser, browser.find_element(By.LINK_TEXT, "Refresh"))
        assert browser.find_element(By.ID, "live").text == ""
        assert not browser.find_element(By.ID, "pause").is_displayed()
        act(browser, "Restart …")
        assert browser.find_element(By.TAG_NAME, "h1").text == "Restart the server?"
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_the_policy_is_kept(browser: webdriver.Chrome) -> None:
    """The browser has nothing to complain of: no style, script or image that is not let in."""
    until_text(browser, "live", "Live")
    browser.get_log("browser")
    browser.get(browser.current_url)
    until_text(browser, "live", "Live")
    assert browser.get_log("browser") == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_accessibility(browser: webdriver.Chrome, server: Server, scheme: str, width: int) -> None:
    """Headings, labels, landmarks, tables, targets, and the contrast of all that is written."""
    look_as(browser, width=width, height=900, scheme=scheme)
    browser.get(page(server))
    browser.execute_script(
        "for (const each of document.querySelectorAll('details')) each.open = true"
    )
    assert browser.execute_script(ACCESSIBILITY) == []
    browser.get(f"{page(server)}/routes")
    assert browser.execute_script(ACCESSIBILITY) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessibility_of_questions(browser: webdriver.Chrome, scheme: str) -> None:
    """The pages that ask again, and that show stacks, too."""
    look_as(browser, width=1280, height=900, scheme=scheme)
    act(browser, "Stop …")
    heading(browser, "Stop the server?")
    assert browser.execute_script(ACCESSIBILITY) == []
    follow(browser, browser.find_element(By.LINK_TEXT, "No, back to the status"))
    heading(browser, "web")
    act(browser, "Show stacks")
    heading(browser, "Stacks of web")
    assert browser.execute_script(ACCESSIBILITY) == []


def test_the_check_finds_what_is_wrong(browser: webdriver.Chrome) -> None:
    """A check that finds nothing must be one that could."""
    browser.execute_script("""
        const main = document.querySelector("main");
        main.innerHTML = "<section><h5>low</h5><p style='color: #999'></p><a href='#'></a>" +
          "<svg></svg><table><tbody><tr><td>1</td></tr></tbody></table></section>";
        main.querySelector("h5").style.color = "#aaa";
    """)
    found = " ".join(browser.execute_script(ACCESSIBILITY))
    for each in (
        "follows a heading",
        "has no label",
        "has no name",
        "has no text",
        "no caption",
        "has no header",
        "has a contrast of 2",
    ):
        assert each in found
