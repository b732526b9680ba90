"""What is at an address: an image, something else, nothing; served here, on the loopback."""

import io
import json
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from PIL import Image

from detect_transfer.cli import main
from detect_transfer.core.errors import InputError
from detect_transfer.core.image_sources import ImageSources


def jpeg() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (64, 48), (200, 10, 10)).save(stream, "JPEG")
    return stream.getvalue()


HTML = b"<!doctype html><html><body>please sign in</body></html>"
ANSWERS = {
    **{"/good.jpg": jpeg(), "/good.jpg?key=1": jpeg(), "/page.jpg": HTML, "/page.html": HTML, "/clip.mp4": HTML},
    **{"/empty.jpg": b"", "/cut.jpg": jpeg()[:-40]},
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/odd.jpg":
            self.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n")
        elif self.path == "/elsewhere.jpg":
            self.send_response(302)
            self.send_header("Location", "file:///etc/passwd")
            self.end_headers()
        elif self.path in ANSWERS:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(ANSWERS[self.path])
        else:
            self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        thread = Thread(target=partial(served.serve_forever, poll_interval=0.05), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{served.server_address[1]}"
        served.shutdown()
        thread.join()


@pytest.mark.parametrize("path", ["/good.jpg", "/good.jpg?key=1"])
def test_address__of_an_image(server: str, path: str) -> None:
    images = list(ImageSources((server + path,), allow_network=True))
    assert [(image.name, image.read().shape) for image in images] == [("good.jpg", (48, 64, 3))]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/page.jpg", "IMAGE_TYPE .*its bytes are of no image"),
        ("/page.html", "ADDRESS_UNREACHABLE .*no video or stream can be opened there"),
        ("/clip.mp4", "ADDRESS_UNREACHABLE .*no video or stream can be opened there"),
        ("/empty.jpg", "ADDRESS_CONTENT .*it is empty"),
        ("/cut.jpg", "IMAGE_TRUNCATED"),
        ("/gone.jpg", "ADDRESS_UNREACHABLE .*404"),
        ("/elsewhere.jpg", "ADDRESS_UNREACHABLE .*not allowed"),
        ("/odd.jpg", "ADDRESS_UNREACHABLE .*SSH"),
        ("/a b.jpg", "ADDRESS_UNREACHABLE .*cannot be fetched"),
        (":8x/a.jpg", "ADDRESS_UNREACHABLE .*cannot be fetched"),
    ],
)
def test_address__of_something_else_says_so_in_a_line(server: str, path: str, message: str) -> None:
    (image,) = ImageSources((server + path,), allow_network=True)
    with pytest.raises(InputError, match=message) as caught:
        image.read()
    assert server in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.yolo
def test_predict__of_addresses_lists_those_that_are_no_image(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"{server}/good.jpg", f"{server}/page.jpg", "--imgsz", "64", "--device", "cpu", "--out"]
    with pytest.raises(SystemExit) as refused:
        main(["predict", "embedded", *words, str(tmp_path / "refused")])
    assert refused.value.code == 2
    assert "add --allow-network" in " ".join(capsys.readouterr().err.split())
    with pytest.raises(SystemExit) as left:
        main(["predict", "embedded", *words, str(tmp_path / "out"), "--allow-network"])
    assert left.value.code == 2
    assert [row["code"] for row in json.loads((tmp_path / "out" / "skipped.json").read_text())] == ["IMAGE_TYPE"]
    assert [row["file_name"] for row in json.loads((tmp_path / "out" / "images.json").read_text())] == ["good.jpg"]
