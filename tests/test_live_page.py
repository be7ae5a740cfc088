"""mbn-live's page in a real browser, on an emulated board.

What enters: Chromium without a screen, with its own fake camera; the command, serving small
networks. What leaves: failures; with MBN_SCREENSHOTS=DIR pictures of the page to look at. Always
holds: the browser reports no error, so that the page's policy allows all that it does.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("starlette", reason="needs the extra `live`")
pytest.importorskip("selenium", reason="needs the extra `test`")

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from mbn.cli import compile as compile_command

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
if CHROMIUM is None or DRIVER is None:
    pytest.skip("there is no chromium, or no chromedriver", allow_module_level=True)

NASTY = '<img src=x onerror="document.title=1">'
WAIT_S = 30
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # tests may run as root
    "--disable-dev-shm-usage",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",  # allows it without asking
    "--window-size=1280,1400",
)


def compiled(folder: Path, names: list[str]) -> Path:
    labels = folder / "labels.txt"
    labels.write_text("\n".join(names), encoding="utf-8")
    arguments = ["--weights", "random:1", "--alpha", "0.25", "--resolution", "32", "--samples", "1"]
    arguments += ["--classes", str(len(names)), "--labels", str(labels), "--quiet"]
    arguments += ["--board", "qemu", "--output", str(folder / "out")]
    assert compile_command.main(arguments) == 0
    return folder / "out"


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network, untrained, whose classes are digits."""
    return compiled(tmp_path_factory.mktemp("digits"), [str(one) for one in range(10)])


@contextmanager
def serving(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command's process and the address that it prints."""
    command = [sys.executable, "-m", "mbn.cli.live", "--board", "qemu", "--output", str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [*command, "--no-browser", "--quiet"], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("open  http://127.0.0.1:"), line
            yield process, line.split()[1]
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    for flag in FLAGS:
        options.add_argument(flag)
    options.binary_location = str(CHROMIUM)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with ExitStack() as stack:
        made = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
        stack.callback(made.quit)
        yield made


class Page:
    """The page as a user has it."""

    def __init__(self, browser: webdriver.Chrome, address: str) -> None:
        self.browser, self.address = browser, address
        browser.get("about:blank")  # a new fragment alone would not load it again
        browser.get(address)
        browser.get_log("browser")

    def one(self, name: str) -> Any:
        return self.browser.find_element(By.ID, name)

    def text(self, name: str) -> str:
        return str(self.one(name).text)

    def until(self, holds: Callable[[], Any], what: str) -> None:
        WebDriverWait(self.browser, WAIT_S).until(lambda _: holds(), message=what)

    def answered(self) -> None:
        """Waits for an answer to what was just given."""
        self.until(lambda: self.one("proof").is_displayed(), "an answer")
        waits = ("Waiting for a picture.", "The device is thinking.", "The sheet is empty.")
        self.until(lambda: self.text("status") not in waits, "a class")

    def run(self, script: str, *arguments: object) -> Any:
        return self.browser.execute_script(script, *arguments)

    def shoot(self, name: str) -> None:
        if "MBN_SCREENSHOTS" in os.environ:
            self.browser.save_screenshot(str(Path(os.environ["MBN_SCREENSHOTS"]) / f"{name}.png"))

    @property
    def errors(self) -> list[str]:
        """What the browser complains of, since this was last asked."""
        return [str(one["message"]) for one in self.browser.get_log("browser")]


@pytest.fixture(scope="module")
def served(digits: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with serving(digits) as found:
        yield found


@pytest.fixture
def page(browser: webdriver.Chrome, served: tuple[subprocess.Popen[str], str]) -> Iterator[Page]:
    made = Page(browser, served[1])
    made.until(lambda: "Takes" in made.text("where"), "what it is about")
    yield made
    made.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(1).integers(0, 256, (60, 80, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


def test_a_chosen_picture_is_answered(page: Page, picture: Path) -> None:
    page.one("file").send_keys(str(picture))
    page.answered()
    assert "every bit equals the exact reference (10 values)" in page.text("exact")
    rows = page.browser.find_elements(By.CSS_SELECTOR, "#classes tbody tr")
    assert sorted(one.find_element(By.TAG_NAME, "th").text for one in rows) == list("0123456789")
    assert len(page.browser.find_elements(By.CSS_SELECTOR, "#stages tbody tr")) == 17
    assert "nothing counts them" in page.text("counted") and "not known" in page.text("whole")
    seen = page.run(
        "const c = document.getElementById('seen');"
        "return [c.width, c.height, ...c.getContext('2d').getImageData(0, 0, 32, 1).data]"
    )
    assert seen[:2] == [32, 32] and len(set(seen[2:])) > 10
    assert page.errors == []
    page.shoot("desktop")


DROPPED = """
const [kind, bytes, type] = arguments;
const data = new DataTransfer();
data.items.add(new File([Uint8Array.from(bytes)], "given", { type }));
const event = kind === "paste"
  ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true })
  : new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
document.getElementById("drop").dispatchEvent(event);
"""


@pytest.mark.parametrize("kind", ["paste", "drop"])
def test_a_picture_is_pasted_or_dropped(page: Page, picture: Path, kind: str) -> None:
    page.run(DROPPED, kind, list(picture.read_bytes()), "image/png")
    page.answered()
    assert page.errors == []


def test_what_is_no_picture_is_refused_in_words(page: Page, picture: Path) -> None:
    page.run(DROPPED, "drop", list(b"no picture at all"), "text/plain")
    page.until(lambda: page.one("error").is_displayed(), "a refusal")
    assert "no picture that can be read" in page.text("error")
    assert page.one("error").get_attribute("role") == "alert"
    page.shoot("refused")
    page.one("file").send_keys(str(picture))
    page.answered()
    assert not page.one("error").is_displayed()


def test_a_large_file_is_refused_before_it_is_sent(page: Page, picture: Path) -> None:
    assert page.run("return facts.most_bytes") == 16 << 20
    page.run("facts.most_bytes = 1000")
    page.one("file").send_keys(str(picture))
    page.until(lambda: page.one("error").is_displayed(), "a refusal")
    assert "too large: at most 1,000" in page.text("error")


def test_the_camera_is_answered_again_and_again(page: Page) -> None:
    page.one("camera").click()
    page.answered()
    assert page.one("camera").get_attribute("aria-pressed") == "true"
    assert page.one("video").is_displayed()
    first = page.run("return document.getElementById('seen').toDataURL()")
    page.until(
        lambda: page.run("return document.getElementById('seen').toDataURL()") != first,
        "another picture",
    )
    page.shoot("camera")
    page.one("camera").click()
    assert page.one("camera").get_attribute("aria-pressed") == "false"
    assert not page.one("video").is_displayed() and not page.one("error").is_displayed()
    assert page.errors == []


def test_a_digit_is_drawn_with_the_mouse(page: Page) -> None:
    page.one("draw").click()
    pen = ActionChains(page.browser).move_to_element(page.one("source")).click_and_hold()
    pen.move_by_offset(0, 60).move_by_offset(40, 0).release().perform()
    page.answered()
    assert (
        page.run("return new Set(source.getContext('2d').getImageData(0,0,320,320).data).size") > 2
    )
    page.shoot("draw")
    page.one("clear").click()
    assert page.text("status") == "The sheet is empty."


def test_the_keyboard_reaches_all_and_draws(page: Page) -> None:
    reached = []
    body = page.browser.find_element(By.TAG_NAME, "body")
    for _ in range(4):
        body.send_keys(Keys.TAB)
        reached.append(page.run("return document.activeElement.id"))
    assert reached[:3] == ["file", "camera", "draw"]
    page.one("draw").send_keys(Keys.ENTER)
    assert page.run("return document.activeElement.id") == "source"
    keys = ActionChains(page.browser).send_keys(Keys.SPACE)
    keys.send_keys(Keys.ARROW_DOWN * 6).send_keys(Keys.SPACE).perform()
    page.answered()


def test_it_is_told_to_screen_readers(page: Page, picture: Path) -> None:
    page.one("file").send_keys(str(picture))
    page.answered()
    assert page.one("status").get_attribute("role") == "status"
    nameless = page.run(
        "return [...document.querySelectorAll('button, input, canvas, video, section, table')]"
        ".filter((one) => !(one.ariaLabel || one.getAttribute('aria-labelledby') || one.caption"
        " || one.labels?.length || one.textContent.trim())).map((one) => one.id)"
    )
    assert nameless == []
    assert page.run("return document.documentElement.lang") == "en"
    assert page.run("return document.querySelectorAll('main h2').length") == 3
    unscoped = page.run("return document.querySelectorAll('th:not([scope])').length")
    assert unscoped == 0


def test_light_and_dark_and_a_phone(page: Page, picture: Path) -> None:
    page.one("file").send_keys(str(picture))
    page.answered()
    colours = {}
    for scheme in ("light", "dark"):
        page.browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
        )
        colours[scheme] = page.run("return getComputedStyle(document.body).backgroundColor")
        page.shoot(scheme)
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert colours["light"] != colours["dark"]
    for width in (360, 768):
        size = {"width": width, "height": 1600, "deviceScaleFactor": 1, "mobile": True}
        page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        assert page.run("return document.documentElement.scrollWidth") <= width
        page.shoot(f"width_{width}")


def test_nothing_comes_from_elsewhere_and_nothing_is_kept(page: Page) -> None:
    origin = page.address.split("#")[0]
    loaded = page.run("return performance.getEntriesByType('resource').map((one) => one.name)")
    assert loaded and all(name.startswith(origin) for name in loaded)
    assert not any(page.address.split("#")[1] in name for name in loaded)
    assert page.browser.get_cookies() == []
    assert page.run("return localStorage.length + sessionStorage.length") == 0


def test_without_the_token_the_page_says_what_to_do(page: Page) -> None:
    other = Page(page.browser, page.address.split("#")[0] + "#wrong")
    other.until(lambda: other.one("error").is_displayed(), "a refusal")
    assert "open the link that mbn-live printed" in other.text("error")


def children(process: int) -> list[int]:
    """The processes that another one started."""
    found = []
    for task in Path(f"/proc/{process}/task").iterdir():
        found += [int(one) for one in (task / "children").read_text().split()]
    return found


def test_a_device_that_vanishes_is_told_and_comes_back(
    page: Page, picture: Path, served: tuple[subprocess.Popen[str], str]
) -> None:
    page.one("file").send_keys(str(picture))
    page.answered()
    (emulator,) = children(served[0].pid)
    os.kill(emulator, signal.SIGKILL)
    page.one("file").send_keys(str(picture))
    page.until(lambda: page.one("error").is_displayed(), "that the device is gone")
    assert "The next picture opens the device again" in page.text("error")
    assert not page.one("classes").is_displayed()  # of the picture before
    page.shoot("vanished")
    page.one("file").send_keys(str(picture))
    page.answered()
    assert not page.one("error").is_displayed()


def test_names_are_text_and_a_server_that_ended_is_told(
    browser: webdriver.Chrome, picture: Path, tmp_path: Path
) -> None:
    with serving(compiled(tmp_path, [NASTY, "b"])) as (process, address):
        page = Page(browser, address)
        page.until(lambda: NASTY in page.text("where"), "the names")
        page.one("file").send_keys(str(picture))
        page.answered()
        rows = page.browser.find_elements(By.CSS_SELECTOR, "#classes tbody th")
        assert NASTY in [one.text for one in rows]
        assert browser.title != "1" and not browser.find_elements(By.TAG_NAME, "img")
        assert page.errors == []
        assert not page.one("draw").is_displayed()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        page.one("file").send_keys(str(picture))
        page.until(lambda: page.one("error").is_displayed(), "that the server is gone")
        assert "no longer answers" in page.text("error")
