"""A few words of the WebDriver protocol, enough to open a page in a headless Chromium, click, press keys and look.

Imports the standard library alone, so that benchmarks and tests share it.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
KEYS = {"Enter": "\ue007", "Escape": "\ue00c", "Left": "\ue012", "Right": "\ue014", "Tab": "\ue004", "Space": " "}
PATIENCE = 120.0  # seconds; a machine that is busy with other work is slow, not wrong
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")


class Browser:
    """One window of a size in pixels, with light or dark colours; use it as a context."""

    def __init__(self, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        if CHROMIUM is None or DRIVER is None:
            raise RuntimeError("chromium and chromedriver are needed in PATH")
        self._process = subprocess.Popen(
            [DRIVER, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._process.stdout is not None
        line = next(line for line in self._process.stdout if "started successfully on port" in line)
        self._base = f"http://127.0.0.1:{line.rstrip().rstrip('.').rpartition(' ')[2]}"
        flags = [*_FLAGS, "--hide-scrollbars", *(["--force-dark-mode"] if dark else [])]
        options = {"binary": CHROMIUM, "args": flags}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        made = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._base += f"/session/{made['sessionId']}"
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.devtools("Emulation.setDeviceMetricsOverride", **size)
        media = {"prefers-color-scheme": "dark" if dark else "light", "prefers-reduced-motion": "reduce"}
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": n, "value": v} for n, v in media.items()])

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._call("DELETE", "")
        finally:
            self._process.terminate()
            self._process.communicate(timeout=PATIENCE)

    def _call(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from error

    def devtools(self, command: str, **params: object) -> Any:
        """Return the answer to a command of the DevTools protocol."""
        return self._call("POST", "/goog/cdp/execute", {"cmd": command, "params": params})

    def open(self, page: Path) -> None:
        """Open a file and wait until it is loaded."""
        self._call("POST", "/url", {"url": page.as_uri()})

    def run(self, script: str) -> Any:
        """Return what a script returns."""
        return self._call("POST", "/execute/sync", {"script": script, "args": []})

    def run_until_called(self, script: str) -> Any:
        """Return what a script gives to the function `arguments[0]`."""
        return self._call("POST", "/execute/async", {"script": script, "args": []})

    def wait_for(self, script: str, expected: object = True) -> None:
        """Run a script again and again until it returns what is expected.

        Raises:
            AssertionError: It did not within `PATIENCE`.
        """
        end = time.monotonic() + PATIENCE
        while (last := self.run(script)) != expected:
            assert time.monotonic() < end, f"{script!r} gave {last!r}, not {expected!r}"
            time.sleep(0.05)

    def click(self, selector: str) -> None:
        """Click in the middle of an element, as a mouse does; it must be visible."""
        element = self._call("POST", "/element", {"using": "css selector", "value": selector})
        self._call("POST", f"/element/{element[_ELEMENT]}/click", {})

    def press(self, *names: str) -> None:
        """Press keys, one after the other."""
        steps = [{"type": t, "value": KEYS.get(name, name)} for name in names for t in ("keyDown", "keyUp")]
        self._call("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": steps}]})

    def console(self) -> list[str]:
        """Return what the console said since the last call."""
        return [entry["message"] for entry in self._call("POST", "/se/log", {"type": "browser"})]

    def requests(self) -> list[str]:
        """Return the addresses asked for since the last call, without files and data of the page itself."""
        log = self._call("POST", "/se/log", {"type": "performance"})
        events = [json.loads(entry["message"])["message"] for entry in log]
        urls = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
        return [url for url in urls if not url.startswith(("file:", "data:"))]

    def screenshot(self, *, whole: bool = False) -> bytes:
        """Return the window, or the whole page, as PNG bytes."""
        return base64.b64decode(self.devtools("Page.captureScreenshot", captureBeyondViewport=whole)["data"])

    def pdf(self) -> bytes:
        """Return the printed page as PDF bytes."""
        return base64.b64decode(self.devtools("Page.printToPDF", printBackground=True)["data"])
