"""Exports on a hub: put there and fetched again, against a server on the loopback address that speaks as it does."""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import keras
import pytest

import zoo
from zoo.export.card import Card, checksum
from zoo.export.saved_model import export_model

pytest.importorskip("huggingface_hub")
pytestmark = pytest.mark.slow
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """What huggingface_hub asks of a server, for models of one revision; `files` holds path → content."""

    protocol_version = "HTTP/1.1"
    files: ClassVar[dict[str, bytes]] = {}
    repositories: ClassVar[set[str]] = set()

    def log_message(self, *_):
        pass

    def answer(self, content=b"", status=200, **headers):
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def do_GET(self):
        path = self.path.partition("?")[0]
        if found := re.fullmatch(rf"/(?P<repo>[\w.-]+/[\w.-]+)/resolve/(main|{COMMIT})/(?P<file>.+)", path):
            content = self.files.get(found["file"]) if found["repo"] in self.repositories else None
            if content is None:
                return self.answer({"error": "no"}, 404, X_Error_Code="EntryNotFound")
            digest = hashlib.sha256(content).hexdigest()
            return self.answer(content, X_Repo_Commit=COMMIT, ETag=f'"{digest}"', X_Linked_Size=str(len(content)))
        if found := re.match(r"/api/models/(?P<repo>[\w.-]+/[\w.-]+)", path):
            if found["repo"] not in self.repositories:
                return self.answer({"error": "no"}, 404, X_Error_Code="RepoNotFound")
            if "/tree/" in path:
                tree = [
                    {"type": "file", "path": name, "size": len(of), "oid": hashlib.sha1(of).hexdigest()}
                    for name, of in self.files.items()
                ]
                return self.answer(tree)
            siblings = [{"rfilename": name} for name in self.files]
            return self.answer({"id": found["repo"], "sha": COMMIT, "siblings": siblings})
        return self.answer({"error": self.path}, 404)

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self):
        body = self.body()
        if self.path == "/api/validate-yaml":
            return self.answer({"errors": [], "warnings": []})
        if self.path == "/api/repos/create":
            given = json.loads(body)
            self.repositories.add(f"{given.get('organization', 'owner')}/{given['name']}")
            return self.answer({"url": f"http://{self.headers['Host']}/owner/{given['name']}", "id": "owner/name"})
        if "/preupload/" in self.path:
            files = [
                {"path": one["path"], "uploadMode": "regular", "shouldIgnore": False}
                for one in json.loads(body)["files"]
            ]
            return self.answer({"files": files})
        if "/commit/" in self.path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            return self.answer(
                {
                    "success": True,
                    "commitOid": COMMIT,
                    "commitUrl": f"http://{self.headers['Host']}/owner/name/commit/{COMMIT}",
                }
            )
        return self.answer({"error": self.path}, 404)


@pytest.fixture(scope="module")
def server():
    Hub.files, Hub.repositories = {}, set()
    one = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=one.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{one.server_port}"
    one.shutdown()


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    keras.utils.set_random_seed(0)
    model = zoo.VAE(*zoo.networks.build("mlp", (4, 4, 1), 2, depth=1, width=4), 2)
    model.compile("adam")
    model.build_if_known()
    return export_model(model, tmp_path_factory.mktemp("exports") / "tiny", trainable=True)


@pytest.fixture
def call(server, tmp_path_factory):
    cache = tmp_path_factory.getbasetemp() / "hub"

    def run(*words, code="from zoo.cli import main; main()", **more):
        surroundings = {
            **os.environ,
            "HF_ENDPOINT": server,
            "HF_HOME": str(cache),
            "HF_TOKEN": "hf_x",
            "HF_HUB_DISABLE_XET": "1",
            **more,
        }
        return subprocess.run([sys.executable, "-c", f"import sys; sys.argv[0] = 'zoo'\n{code}", *map(str, words)],
                              env=surroundings, capture_output=True, text=True, check=False)  # fmt: skip

    return run


def test_an_export_goes_to_the_hub_and_comes_back(call, export):
    done = call("push", export, "hf://owner/name")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith(f"/owner/name/commit/{COMMIT}")
    assert set(Hub.files) >= {path.relative_to(export).as_posix() for path in export.rglob("*") if path.is_file()}
    fetched = call(
        code="from zoo.export.finding import find, checked; print(checked(find('hf://owner/name')).checksum)"
    )
    assert fetched.stdout.strip() == Card.read(export).checksum == checksum(export), fetched.stderr
    shown = call("card", "hf://owner/name", "--json")
    assert json.loads(shown.stdout)["latent_dim"] == 2, shown.stderr


def test_what_is_not_there_or_cannot_be_reached_is_one_line(call):
    for address, more in (("hf://owner/nothing", {}), ("hf://owner/other", {"HF_ENDPOINT": "http://127.0.0.1:9"})):
        done = call("card", address, **more)
        assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
        assert f"{address}: cannot be fetched: " in done.stderr


def test_a_damaged_export_is_not_pushed(call, export, tmp_path):
    import shutil

    folder = tmp_path / "damaged"
    shutil.copytree(export, folder)
    (folder / "saved_model.pb").write_bytes(b"")
    done = call("push", folder, "hf://owner/name")
    assert done.returncode == 2 and "damaged" in done.stderr
