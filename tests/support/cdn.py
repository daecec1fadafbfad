"""A CDN for tests: a small https server with a CA of its own that remembers every request.

    with Cdn() as cdn:
        cdn.files["/clip.mp4"] = 300_000              # answers as a good CDN would
        cdn.plan = [Answer(503), Answer(403)]          # what the next requests get instead, in this order
        home = world.home(cdn_ca_file=cdn.ca, cdn_allow_private="yes")
        home.ok("add", clip, "--channel", "main", "--cdn-url", cdn.url + "/clip.mp4")

Only the standard library is used, and openssl for the certificates.
"""

import http.server
import pathlib
import shutil
import ssl
import subprocess
import tempfile
import threading
import urllib.parse

from authority import NEW_KEY


def openssl(*args, **kwargs):
    return subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True, **kwargs).stdout


def make_certificates(dir):
    """ca.pem, and server.pem (key and certificate) for 127.0.0.1 and all of localhost."""
    names = dir / "names"
    names.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:cdn.localhost\n")
    openssl("req", "-x509", *NEW_KEY, "-days", 2, "-subj", "/CN=A test CDN's CA",
            "-addext", "keyUsage=critical,keyCertSign", "-keyout", dir / "ca.key", "-out", dir / "ca.pem")
    openssl("req", *NEW_KEY, "-subj", "/CN=cdn", "-keyout", dir / "server.key", "-out", dir / "server.csr")
    openssl("x509", "-req", "-days", 2, "-in", dir / "server.csr", "-CA", dir / "ca.pem", "-CAkey", dir / "ca.key",
            "-CAcreateserial", "-extfile", names, "-out", dir / "server.crt")
    (dir / "server.pem").write_text((dir / "server.key").read_text() + (dir / "server.crt").read_text())


class Answer:
    """One reply. `body_bytes`: how many bytes follow, if the other side stays; `length`: what the head says of them."""

    def __init__(self, status, length=0, body_bytes=0, **headers):
        self.status, self.length, self.body_bytes = status, length, body_bytes
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Request:
    def __init__(self, method, target, headers):
        self.method, self.headers = method, headers
        parts = urllib.parse.urlsplit(target)
        self.path, self.query = parts.path, parts.query
        self.params = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
        self.sent_bytes = 0

    def __repr__(self):
        return f"<{self.method} {self.path}?{self.query} {dict(self.headers)}>"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def handle_any(self):
        request = Request(self.command, self.path, self.headers)
        answer = self.server.cdn.take(request)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.length is not None:
            self.send_header("Content-Length", str(answer.length))
        else:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if self.command != "HEAD":
            self.send_body(request, answer.body_bytes)

    do_HEAD = do_GET = do_POST = do_PUT = handle_any

    def send_body(self, request, left):
        piece = bytes(65536)
        try:
            while left > 0:
                self.wfile.write(piece[:left])
                request.sent_bytes += min(left, len(piece))
                left -= len(piece)
        except OSError:
            self.close_connection = True

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # a client that goes away is part of the tests


class Cdn:
    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="sluice-cdn-"))
        make_certificates(self.dir)
        self.ca = self.dir / "ca.pem"
        self.files, self.plan, self.requests = {}, [], []
        self.check = lambda request: None  # an Answer refuses the request
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.cdn = self
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.dir / "server.pem")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        self.host = f"127.0.0.1:{self.port}"
        self.url = f"https://{self.host}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
        shutil.rmtree(self.dir)

    def reset(self):
        self.files, self.plan, self.requests = {}, [], []
        self.check = lambda request: None

    def take(self, request):
        self.requests.append(request)
        if self.plan:
            return self.plan.pop(0)
        return self.check(request) or self.answer(request)

    def answer(self, request):
        size = self.files.get(request.path)
        if size is None:
            return Answer(404)
        if request.headers.get("Range") == "bytes=0-0":
            return Answer(206, 1, 1, Content_Range=f"bytes 0-0/{size}")
        return Answer(200, size, size)

    @property
    def methods(self):
        return [request.method for request in self.requests]
