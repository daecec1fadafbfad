"""The npm package @googleapis/youtube, unmodified, uploads to the emulator: one multipart request, chunked encoding."""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from emulator import BLOCK, ROOT  # noqa: E402
from emulator_fixtures import *  # noqa: E402, F401, F403

HERE = pathlib.Path(__file__).resolve().parent / "node"
BODY = {"snippet": {"title": "From Node.js", "categoryId": "22"}, "status": {"privacyStatus": "unlisted"}}


@pytest.fixture(scope="module")
def installed():
    """The packages of package-lock.json, installed once into the build folder and again when the lock changes."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.fail("node and npm are needed: scripts/deps installs them")
    folder = pathlib.Path(os.environ.get("SLUICE_BUILD", ROOT / "build")) / "conformance-node"
    stamp = folder / "installed-lock.json"
    lock = (HERE / "package-lock.json").read_text()
    if not stamp.exists() or stamp.read_text() != lock:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, folder)
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=folder, check=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
        stamp.write_text(lock)
    return folder


@pytest.fixture
def run(emulator, channel, installed, tmp_path):
    """Uploads `data`; returns what upload.js printed."""
    def upload(data, body=BODY):
        (tmp_path / "clip.mp4").write_bytes(data)
        (tmp_path / "options.json").write_text(json.dumps({
            "rootUrl": emulator.url + "/", "client": emulator.client(), "body": body,
            "refreshToken": emulator.tokens(channel["id"])["refresh_token"]}))
        # Node looks for packages beside the script: it runs from where they are.
        shutil.copy(HERE / "upload.js", installed)
        done = subprocess.run(
            ["node", str(installed / "upload.js"), str(tmp_path / "clip.mp4"), str(tmp_path / "options.json")],
            env={**os.environ, "NODE_EXTRA_CA_CERTS": emulator.ca}, stdout=subprocess.PIPE, timeout=120, check=True)
        return json.loads(done.stdout)
    return upload


@pytest.mark.parametrize("size", [1, BLOCK, 5 * BLOCK + 77])
def test_multipart_upload(emulator, channel, run, size):
    data = os.urandom(size)
    result = run(data)
    assert result["status"] == 200 and result["channel"] == channel["id"], result
    video = emulator.videos()[0]
    assert (video["id"], video["sha256"]) == (result["video"]["id"], hashlib.sha256(data).hexdigest())
    assert result["video"]["snippet"]["title"] == "From Node.js"
    assert result["video"]["status"]["privacyStatus"] == "unlisted"
    assert [entry["op"] for entry in emulator.journal()] == ["token", "insert", "channels.list"]


def test_simple_upload(emulator, run):
    data = os.urandom(BLOCK + 1)
    assert run(data, body=None)["status"] == 200
    assert emulator.videos()[0]["sha256"] == hashlib.sha256(data).hexdigest()


def test_errors_are_read(emulator, run):
    result = run(b"x" * 1000, body={"snippet": {"title": ""}})
    assert result["status"] == 400 and result["errors"]["errors"][0]["reason"] == "invalidTitle"
    emulator.ctl("quota", {"project": 1, "uploads": 0})
    result = run(b"x" * 1000)
    assert result["status"] == 429 and "per day" in result["errors"]["message"]


def test_revoked_consent(emulator, run):
    emulator.faults({"on": "token", "do": "oauth-error-invalid_grant"})
    assert "invalid_grant" in run(b"x")["message"]
    assert emulator.videos() == []
