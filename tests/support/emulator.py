"""Starts youtube-emulator for a test, steers it through its control API and talks to it as a client would.

    with Emulator() as emulator:
        channel = emulator.channels()[0]
        token = emulator.access_token(channel["id"])
        location = emulator.start(token, size=len(data))
        reply = emulator.put(location, token, data)
        assert emulator.videos()[0]["sha256"] == hashlib.sha256(data).hexdigest()

Only the standard library is used. Which program runs: $YOUTUBE_EMULATOR, else emulator/youtube-emulator in the build
folder $SLUICE_BUILD (default: build/ in the root of the sources).
"""

import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import ssl
import subprocess
import tempfile
import threading
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
BLOCK = 262144
SCOPE = "https://www.googleapis.com/auth/"
UPLOAD_PATH = "/upload/youtube/v3/videos"


def program():
    build = pathlib.Path(os.environ.get("SLUICE_BUILD", ROOT / "build"))
    return os.environ.get("YOUTUBE_EMULATOR", str(build / "emulator" / "youtube-emulator"))


class Reply:
    def __init__(self, response, body):
        self.status = response.status
        self.headers = response.headers
        self.body = body

    def json(self):
        return json.loads(self.body)

    def reason(self):
        """errors[0].reason of one of Google's errors."""
        return self.json()["error"]["errors"][0]["reason"]

    def __repr__(self):
        return f"<{self.status} {dict(self.headers)} {self.body[:300]!r}>"


class Emulator:
    """One running emulator; `stop()` or the end of the `with` block ends it."""

    def __init__(self, *options, env=None):
        self.dir = tempfile.mkdtemp(prefix="youtube-emulator-test-")
        self.log = open(os.path.join(self.dir, "stderr"), "wb")
        self.last_words = ""
        self.contexts = {}  # of TLS, by their CA's file
        self.kept = threading.local()
        self.process = subprocess.Popen(
            [program(), "--dir", self.dir, *options],
            stdout=subprocess.PIPE, stderr=self.log, env=env)
        line = self.process.stdout.readline().decode()
        if not line.startswith("listening "):
            self.stop()
            raise RuntimeError(f"youtube-emulator did not start: {line!r} {self.stderr()!r}")
        fields = dict(field.split("=", 1) for field in line.split()[1:])
        self.url = fields["url"]
        self.ca = fields["ca"]
        self.client_secret = fields["client_secret"]
        parts = urllib.parse.urlsplit(self.url)
        self.host, self.port, self.is_tls = parts.hostname, parts.port, parts.scheme == "https"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self, timeout_s=30):
        """Ends the emulator by its process id and returns its exit code."""
        self.kept = threading.local()
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGTERM)
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.process.stdout.close()
        self.log.close()
        self.last_words = self.last_words or self.stderr()
        shutil.rmtree(self.dir, ignore_errors=True)
        return code

    def stderr(self):
        """What it wrote to standard error; also after it has ended."""
        path = pathlib.Path(self.dir, "stderr")
        return path.read_text(errors="replace") if path.exists() else self.last_words

    # ---- any request

    def connect(self, timeout_s=30):
        """A connection of http.client that trusts the emulator's CA and nothing else."""
        if not self.is_tls:
            return http.client.HTTPConnection(self.host, self.port, timeout=timeout_s)
        if self.ca not in self.contexts:
            self.contexts[self.ca] = ssl.create_default_context(cafile=self.ca)
        context = self.contexts[self.ca]
        return http.client.HTTPSConnection(self.host, self.port, timeout=timeout_s, context=context)

    def request(self, method, target, body=None, headers=None, token=None, timeout_s=30):
        """One request on a connection of its own. `target` is a path or one of the emulator's URLs."""
        with contextlib.closing(self.connect(timeout_s)) as connection:
            return self.ask(connection, method, target, body, headers, token)

    @staticmethod
    def ask(connection, method, target, body=None, headers=None, token=None):
        parts = urllib.parse.urlsplit(target)
        path = parts.path + ("?" + parts.query if parts.query else "")
        headers = dict(headers or {})
        if token:
            headers["Authorization"] = "Bearer " + token
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json; charset=UTF-8")
        if isinstance(body, str):
            body = body.encode()
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        return Reply(response, response.read())

    # ---- the control API

    def ctl(self, name, body=None, method=None, **params):
        """GET without a body, POST with one; raises if the emulator refuses."""
        query = "?" + urllib.parse.urlencode(params) if params else ""
        method = method or ("GET" if body is None else "POST")
        reply = self.ask_kept(method, f"/_ctl/{name}{query}", body)
        if reply.status != 200:
            raise ValueError(f"/_ctl/{name}: {reply}")
        return reply.json()

    def ask_kept(self, method, target, body):
        """On a connection that this thread keeps for it: a handshake costs more than most answers."""
        if getattr(self.kept, "connection", None):
            with contextlib.suppress(ConnectionError, http.client.HTTPException, ssl.SSLError):
                return self.ask(self.kept.connection, method, target, body)
            self.kept.connection.close()  # the emulator has, meanwhile
        self.kept.connection = self.connect()
        return self.ask(self.kept.connection, method, target, body)

    def faults(self, *faults):
        return self.ctl("faults", list(faults))

    def consumed(self):
        """How often each fault was consumed, in their order."""
        return [fault["consumed"] for fault in self.ctl("faults")]

    def videos(self, **params):
        return self.ctl("videos", **params)

    def journal(self, **params):
        return self.ctl("journal", **params)

    def channels(self):
        return self.ctl("channels")

    def settings(self, **values):
        return self.ctl("settings", values)

    def advance(self, ms):
        return self.ctl("clock", {"advance_ms": ms})

    def tokens(self, channel, scope=SCOPE + "youtube", client="client_secret.json"):
        """Tokens without the consent page: {"access_token", "refresh_token", …}."""
        return self.ctl("token", {"channel": channel, "scope": scope, "client": client})

    def access_token(self, channel, **kwargs):
        return self.tokens(channel, **kwargs)["access_token"]

    def client(self, name="client_secret.json"):
        """The contents beneath the one top key of a client secret file."""
        file = json.loads(pathlib.Path(self.dir, name).read_text())
        return next(iter(file.values()))

    # ---- resumable uploads, step by step

    def start_reply(self, token, size=None, metadata=None, part="snippet,status", headers=None, path=UPLOAD_PATH):
        if metadata is None:
            metadata = {"snippet": {"title": "A title", "categoryId": "22"}, "status": {"privacyStatus": "private"}}
        headers = {"X-Upload-Content-Type": "video/mp4", **(headers or {})}
        if size is not None:
            headers["X-Upload-Content-Length"] = str(size)
        query = urllib.parse.urlencode({"uploadType": "resumable", "part": part})
        return self.request("POST", f"{path}?{query}", body=metadata, headers=headers, token=token)

    def start(self, token, size=None, **kwargs):
        """The session's address; fails the test if there is none."""
        reply = self.start_reply(token, size, **kwargs)
        assert reply.status == 200, reply
        assert reply.body == b""
        return reply.headers["Location"]

    def put(self, location, token, data, first=None, total=None, content_range=None, method="PUT", headers=None,
            timeout_s=30):
        """Sends bytes: the whole file, or with `first` (and `total`, None for not known) a piece of it."""
        headers = {"Content-Type": "video/mp4", **(headers or {})}
        if content_range is None and first is not None:
            content_range = f"bytes {first}-{first + len(data) - 1}/{'*' if total is None else total}"
        if content_range is not None:
            headers["Content-Range"] = content_range
        headers.setdefault("Content-Length", str(len(data)))
        return self.request(method, location, body=data, headers=headers, token=token, timeout_s=timeout_s)

    def query(self, location, token, total="*", headers=None):
        return self.put(location, token, b"", content_range=f"bytes */{total}", headers=headers)

    def cancel(self, location, token):
        return self.request("DELETE", location, headers={"Content-Length": "0"}, token=token)
