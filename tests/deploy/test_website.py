"""A website made of all four kinds of route, used by a person at a browser over HTTPS.

Static files, an app, a cluster and remote procedures: behind nginx with the files of deploy/nginx,
and with nothing before Skitai.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from around import Program, control, sample, uncommented
from operator_session import Home, free_port
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait
from test_nginx import WHOLE
from waits import PATIENCE, wait_until

INDEX = """\
<!doctype html>
<meta charset="utf-8">
<title>Jeans</title>
<link rel="stylesheet" href="/style.css">
<h1 id="head">Jeans</h1>
<form action="/login" method="post"><input name="name"><input type="submit" value="Enter"></form>
<a id="far" href="/stock/shelf/">What is there</a>
<ul><li id="app"><li id="cluster"><li id="posted"><li id="json"><li id="xml"></ul>
<script src="/page.js"></script>
"""

SCRIPT = """\
const put = (id, promise) => promise.then(
    (text) => { document.getElementById(id).textContent = text },
    (error) => { document.getElementById(id).textContent = "failed: " + error });
const text = (path, init) => fetch(path, init).then((reply) => reply.text());

put("app", text("/where"));
put("cluster", text("/stock/where?size=34"));
put("posted", text("/stock/count", {method: "POST", body: "x".repeat(3000000)}));
put("json", text("/rpc3", {
    method: "POST", headers: {"Content-Type": "application/json-rpc"},
    body: JSON.stringify({jsonrpc: "2.0", id: 1, method: "add", params: [20, 22]})}));
put("xml", text("/rpc2", {
    method: "POST", headers: {"Content-Type": "text/xml"},
    body: "<methodCall><methodName>add</methodName><params>" +
        "<param><value><int>4</int></value></param><param><value><int>5</int></value></param>" +
        "</params></methodCall>"}));
"""

SITE = """\
from skitai.server import ssgi

app = ssgi.Application(__name__)
app.use_session(True)


@app.route("/where")
def where(was):
    request = was.request
    return "%s %s %s" % (request.remote_addr, request.scheme, request.url)


@app.route("/login", methods=["POST"])
def login(was, name):
    was.session["name"] = name
    was.response.start(303)
    was.response["Location"] = "/welcome"
    return ""


@app.route("/welcome")
def welcome(was):
    return "<title>Welcome</title><p id=name>%s</p>" % was.session.get("name")


@app.route("/add")
def add(was, a, b):
    return int(a) + int(b)
"""

MEMBER = """\
from skitai.server import ssgi

app = ssgi.Application(__name__)


@app.route("/where")
def where(was, size):
    request = was.request
    return "%s %s %s %s" % (request.remote_addr, request.scheme, request.host, size)


@app.route("/count", methods=["POST"])
def count(was):
    return str(len(was.request.get_body()))


@app.route("/shelf")
def shelf(was):
    return "<title>Shelf</title><a id=there href=where?size=36>there</a>"
"""


@dataclass
class Website:
    """url: as people type it. logs: what the site's server was asked, by whom."""

    url: str
    home: Home

    def asked(self) -> str:
        return (self.home.var / "servers/jeans/logs/request.log").read_text()


@pytest.fixture(params=["nginx", "skitai"])
def website(request: pytest.FixtureRequest, home: Home) -> Iterator[Website]:
    """With nginx in front, or with nobody."""
    has_nginx = request.param == "nginx"
    if has_nginx and shutil.which("nginx") is None:
        pytest.skip("there is no nginx")
    for name, text in (
        ("index.html", INDEX),
        ("page.js", SCRIPT),
        ("style.css", "#head {color: rgb(1, 2, 3)}"),
    ):
        home.write_app(f"static/{name}", text)
    home.write_app("site.py", SITE)
    home.write_app("member.py", MEMBER)
    control(home, "cert", "new", "localhost")
    trusts = "trusted_proxies = 127.0.0.1"
    members = [home.write_conf(each, routes="/ = {app}/member", more=trusts) for each in ("a", "b")]
    listed = ", ".join(f"127.0.0.1:{port}" for port in members)
    sections = f"[@stock]\nmembers = {listed}\n"
    if has_nginx:
        more = trusts
    else:
        more = "ssl = yes"
        sections += "[certification]\ncertfile = localhost.pem\n"
    routes = "/ = {app}/static\n/ = {app}/site\n/stock = @stock"
    port = home.write_conf("jeans", routes=routes, more=more, sections=sections)
    control(home, "start")
    if not has_nginx:
        yield Website(f"https://localhost:{port}", home)
        return
    front = free_port()
    nginx = _nginx(home, front, port)
    try:
        yield Website(f"https://localhost:{front}", home)
    finally:
        nginx.stop(signal.SIGQUIT)


def _nginx(home: Home, front: int, port: int) -> Program:
    """The sample of www.jeans.com, with HTTPS switched on."""
    root = home.root / "nginx"
    for each in ("snippets", "sites-enabled"):
        (root / each).mkdir(parents=True)
    user = "user root;" if os.geteuid() == 0 else ""
    whole = WHOLE.format(root=root, user=user)
    (root / "nginx.conf").write_text(whole.replace("include sites-enabled/carsales.conf;", ""))
    (root / "snippets/skitai.conf").write_text(sample("nginx/snippets/skitai.conf", {}))
    pem = str(home.etc / "cert/localhost.pem")
    plain = free_port()
    changes = {
        "127.0.0.1:5000": f"127.0.0.1:{port}",
        "listen 80;": f"listen {plain};",
        "listen [::]:80;": f"listen [::]:{plain};",
        "listen 443 ssl;": f"listen {front} ssl;",
        "listen [::]:443 ssl;": f"listen [::]:{front} ssl;",
        "/etc/letsencrypt/live/www.jeans.com/fullchain.pem": pem,
        "/etc/letsencrypt/live/www.jeans.com/privkey.pem": pem,
    }
    text = uncommented(sample("nginx/jeans.conf", changes), "listen ", "TLSv1.3;")
    (root / "sites-enabled/jeans.conf").write_text(text)
    command = ["nginx", "-p", str(root), "-c", str(root / "nginx.conf")]
    subprocess.run([*command, "-t", "-q"], check=True)
    return Program(command, "start worker process ")


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("there is no chromium with chromedriver; apt install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    options.accept_insecure_certs = True  # of an authority that it does not know
    for option in (
        *("headless", "no-sandbox", "disable-gpu", "no-first-run", "disable-sync"),
        *("disable-background-networking", "disable-component-update", "disable-dev-shm-usage"),
        f"user-data-dir={tmp_path / 'profile'}",
    ):
        options.add_argument(f"--{option}")
    started = webdriver.Chrome(options, webdriver.ChromeService(driver))
    try:
        yield started
    finally:
        started.quit()


def text_of(browser: webdriver.Chrome, name: str) -> Callable[[], str]:
    return lambda: browser.find_element(By.ID, name).text


def test_all_four_kinds_of_route(website: Website, browser: webdriver.Chrome) -> None:
    """Each does its part, knows that it is HTTPS, and who asks."""
    browser.get(website.url)

    # files
    assert browser.title == "Jeans"
    head = browser.find_element(By.ID, "head")
    assert head.value_of_css_property("color") in ("rgba(1, 2, 3, 1)", "rgb(1, 2, 3)")

    shown = {}
    for name in ("app", "cluster", "posted", "json", "xml"):
        wait_until(text_of(browser, name), f"what {name} says")
        shown[name] = text_of(browser, name)()
    host = website.url.removeprefix("https://")
    me = shown["app"].partition(" ")[0]
    assert me in ("127.0.0.1", "::1")  # whichever the browser has tried first
    assert shown["app"] == f"{me} https {website.url}/where"
    assert shown["cluster"] == f"{me} https {host} 34"
    assert shown["posted"] == "3000000"
    assert json.loads(shown["json"])["result"] == 42
    assert "<int>9</int>" in shown["xml"]

    # a page of a member, whose links lead on within it
    browser.find_element(By.ID, "far").click()
    WebDriverWait(browser, PATIENCE).until(lambda each: each.title == "Shelf")
    browser.find_element(By.ID, "there").click()
    WebDriverWait(browser, PATIENCE).until(lambda each: each.current_url.endswith("size=36"))
    assert browser.find_element(By.TAG_NAME, "body").text.endswith(f"https {host} 36")

    # a form, a session, a redirect
    browser.get(f"{website.url}/")
    browser.find_element(By.NAME, "name").send_keys("Zoë")
    browser.find_element(By.CSS_SELECTOR, "[type=submit]").click()
    WebDriverWait(browser, PATIENCE).until(
        lambda each: each.current_url == f"{website.url}/welcome"
    )
    assert browser.find_element(By.ID, "name").text == "Zoë"
    (cookie,) = browser.get_cookies()
    assert (cookie["name"], cookie["secure"], cookie["httpOnly"]) == ("SESSION", True, True)
    assert [
        entry["message"]
        for entry in browser.get_log("browser")
        if "favicon" not in entry["message"]
    ] == []
    assert f" {me} GET /where " in website.asked()
