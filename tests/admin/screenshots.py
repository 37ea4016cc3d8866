"""Takes the pictures of the status page that are in docs/images: `make screenshots`.

A server with members runs under load for a while, one of its members is killed, another is
drained, and a browser looks. pngquant, if it is there, makes the files small.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile
import threading
import time
from base64 import b64decode
from pathlib import Path
from urllib.parse import quote

from browsers import chromium, look_as
from looks import CONF, PASSWORD
from operator_session import CHECKOUT, Home
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait
from served import Server

IMAGES = CHECKOUT / "docs" / "images"
SECONDS = float(os.environ.get("SECONDS", 100))  # of load; in the first half all members live
CLIENTS = 6

MEMBER = """
import random, time
from skitai.server import ssgi

app = ssgi.Application(__name__)


@app.route("/find")
def find(was, keyword="Mozart"):
    time.sleep(random.expovariate(200))
    return [keyword]


@app.route("/balance/<int:cid>")
def balance(was, cid):
    time.sleep(random.choice([0.002, 0.004, 0.03]))
    return str(cid)
"""

APP = """
import random, time
from skitai.server import ssgi

app = ssgi.Application(__name__)


@app.route("/")
def index(was):
    return "hello"


@app.route("/search")
def search(was, keyword="Mozart"):
    found = was.map("search/find?keyword=" + keyword, method="GET").getswait(2)
    return [rs.data for rs in found if rs.status == 3]


@app.route("/company/<int:cid>")
def company(was, cid):
    if cid == 4711:
        raise KeyError(cid)
    return was.lb("billing/balance/%d" % cid, method="GET").getwait(2).cache(5).data


@app.route("/report/<name>")
def report(was, name):
    was.map("billing/balance/1", method="GET").getswait(2)
    time.sleep(random.uniform(0.05, 0.4))
    return name
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        home = Home(Path(directory))
        try:
            take(home, Path(directory) / "profile")
        finally:
            home.close()


def take(home: Home, profile: Path) -> None:
    members = [serve_member(home, f"member{index}") for index in range(5)]
    listed = [f"127.0.0.1:{each.port}" for each in members]
    server = home.serve(
        "web",
        apps={"webapp.py": APP},
        processes=4,
        more=f"{CONF}\nsecurekey = key-for-the-pictures",
        sections=f"[@search]\nmembers = {', '.join(listed[:3])}\n\n"
        f"[@billing]\nmembers = {', '.join(listed[3:])}\n",
    )
    over = threading.Event()
    clients = [threading.Thread(target=ask, args=(server, over)) for _ in range(CLIENTS)]
    for each in clients:
        each.start()
    with chromium(profile) as browser:
        try:
            time.sleep(SECONDS / 2)
            members[2].process.kill()
            time.sleep(SECONDS / 2)
            photograph(browser, server, listed[4])
        finally:
            over.set()
            for each in clients:
                each.join()


def serve_member(home: Home, name: str) -> Server:
    return home.serve(name, apps={"member.py": MEMBER}, routes="/ = {app}/member")


def ask(server: Server, over: threading.Event) -> None:
    """One client, who asks now more and now less."""
    began = time.monotonic()
    while not over.is_set():
        paths = ["/"] * 5 + ["/search?keyword=Mozart", "/search?keyword=Bach"] * 3
        paths += [f"/company/{random.randint(1, 60)}"] * 4
        paths += ["/report/march"] * (random.random() < 0.2)
        paths += ["/company/4711"] * (random.random() < 0.01)
        server.get(random.choice(paths))
        wave = 0.5 + 0.5 * ((time.monotonic() - began) % 37 / 37)
        over.wait(random.expovariate(1 / (0.03 * wave)))


def photograph(browser: webdriver.Chrome, server: Server, drained: str) -> None:
    page = f"127.0.0.1:{server.port}/skitai/status"
    look_as(browser, width=1280, height=900)  # else it scrolls too gently to click
    browser.get(f"http://admin:{quote(PASSWORD)}@{page}")
    browser.find_element(By.CSS_SELECTOR, f"button[aria-label='Drain {drained}']").click()
    for name, width, height, scheme, place in (
        ("status-light", 1280, 1240, "light", "head"),
        ("status-dark", 1280, 900, "dark", "clusters"),
        ("status-phone", 390, 844, "light", "head"),
    ):
        look_as(browser, width=width, height=height, scheme=scheme)
        browser.get(f"http://{page}")
        WebDriverWait(browser, 30).until(
            lambda each: "Live" in each.execute_script("return live().textContent")
        )
        opened = "document.querySelector('#slow details').open = true;"
        browser.execute_script(f"{opened} document.getElementById('{place}').scrollIntoView()")
        save(browser, IMAGES / f"{name}.png")


def save(browser: webdriver.Chrome, file: Path) -> None:
    file.write_bytes(b64decode(browser.get_screenshot_as_base64()))
    program = shutil.which("pngquant")
    if program is None:
        print(f"{file}: left as large as it is, since there is no pngquant")
    else:
        command = [program, "--force", "--skip-if-larger", "--ext", ".png", "128", str(file)]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
