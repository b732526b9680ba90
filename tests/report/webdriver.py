"""A few words of the WebDriver protocol, enough to click, press keys, look and listen in a headless Chromium."""

import base64
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
KEYS = {"Enter": "\ue007", "Escape": "\ue00c", "Left": "\ue012", "Right": "\ue014", "Tab": "\ue004", "Space": " "}
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Browser:
    """One window; use it as a context."""

    def __init__(self, *, width=1280, height=900, dark=False):
        self._process = subprocess.Popen(
            [DRIVER, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        line = next(line for line in self._process.stdout if "started successfully on port" in line)
        self._base = f"http://127.0.0.1:{line.rstrip().rstrip('.').rpartition(' ')[2]}"
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
        flags += ["--hide-scrollbars", "--force-dark-mode"] if dark else ["--hide-scrollbars"]
        options = {"binary": CHROMIUM, "args": flags}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        made = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._base += f"/session/{made['sessionId']}"
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.devtools("Emulation.setDeviceMetricsOverride", **size)
        media = {"prefers-color-scheme": "dark" if dark else "light", "prefers-reduced-motion": "reduce"}
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": n, "value": v} for n, v in media.items()])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self._call("DELETE", "")
        finally:
            self._process.terminate()
            self._process.wait(timeout=20)
            self._process.stdout.close()

    def _call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from error

    def devtools(self, command, **params):
        return self._call("POST", "/goog/cdp/execute", {"cmd": command, "params": params})

    def open(self, page):
        """Open a file; return the seconds until it was loaded."""
        start = time.perf_counter()
        self._call("POST", "/url", {"url": page.as_uri()})
        return time.perf_counter() - start

    def run(self, script):
        """Return what a script returns."""
        return self._call("POST", "/execute/sync", {"script": script, "args": []})

    def click(self, selector):
        """Click in the middle of an element, as a mouse does; it must be visible."""
        found = self._call("POST", "/element", {"using": "css selector", "value": selector})
        self._call("POST", f"/element/{found[_ELEMENT]}/click", {})

    def press(self, *names):
        """Press keys, one after the other."""
        steps = [{"type": t, "value": KEYS.get(name, name)} for name in names for t in ("keyDown", "keyUp")]
        self._call("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": steps}]})

    def console(self):
        """Return what the console said since the last call."""
        return [entry["message"] for entry in self._call("POST", "/se/log", {"type": "browser"})]

    def requests(self):
        """Return the addresses asked for since the last call, without files and data of the page itself."""
        log = self._call("POST", "/se/log", {"type": "performance"})
        events = [json.loads(entry["message"])["message"] for entry in log]
        urls = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
        return [url for url in urls if not url.startswith(("file:", "data:"))]

    def screenshot(self, *, whole=False):
        """Return the window, or the whole page, as PNG bytes."""
        return base64.b64decode(self.devtools("Page.captureScreenshot", captureBeyondViewport=whole)["data"])

    def pdf(self):
        """Return the printed page as PDF bytes."""
        return base64.b64decode(self.devtools("Page.printToPDF", printBackground=True)["data"])
