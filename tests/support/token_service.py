"""A token service as docs/token-service.md describes it, for tests: https, mutual TLS, a bearer.

    with TokenService(emulator) as service:
        service.logins["default", "main"] = "UC…"     # whose token it hands out under that name
        service.plan = [Answer(503)]                   # what the next questions get instead, in this order
        home = Sluice(emulator, **service.settings())  # knows it by a bearer; settings("certificate"): by mutual TLS

It is small enough to be read as an example of one. Only the standard library is used, and openssl for certificates. The
tokens themselves come from the emulator, where a real one would ask Google's token endpoint.
"""

import hmac
import http.server
import json
import pathlib
import shutil
import ssl
import tempfile
import threading
import time

from authority import NEW_KEY
from cdn import openssl

SCOPE = "https://www.googleapis.com/auth/youtube.upload https://www.googleapis.com/auth/youtube.readonly"
LIFE_S = 3600


def make_certificates(dir):
    """ca.pem; server.pem for loopback; client.pem and client.key; stranger.pem and stranger.key, of another CA."""
    names = dir / "names"
    names.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:tokens.localhost\n")
    for ca in ("ca", "other-ca"):
        openssl("req", "-x509", *NEW_KEY, "-days", 2, "-subj", f"/CN=A test's {ca}",
                "-addext", "keyUsage=critical,keyCertSign", "-keyout", dir / f"{ca}.key", "-out", dir / f"{ca}.pem")
    for name, ca in (("server", "ca"), ("client", "ca"), ("stranger", "other-ca")):
        openssl("req", *NEW_KEY, "-subj", f"/CN={name}", "-keyout", dir / f"{name}.key",
                "-out", dir / f"{name}.csr")
        openssl("x509", "-req", "-days", 2, "-in", dir / f"{name}.csr", "-CA", dir / f"{ca}.pem", "-CAkey",
                dir / f"{ca}.key", "-CAcreateserial", *(["-extfile", names] if name == "server" else []),
                "-out", dir / f"{name}.pem")
        (dir / f"{name}.key").chmod(0o600)


class Answer:
    """One reply: `body` is bytes, or something for JSON. After `delay_s`."""

    def __init__(self, status, body=b"", delay_s=0, **headers):
        self.status, self.delay_s = status, delay_s
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.headers = {name.replace("_", "-"): str(value) for name, value in headers.items()}


def refusal(status, error, description="", **headers):
    return Answer(status, {"error": error, "error_description": description}, **headers)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self):
        self.answer(lambda _: Answer(200, {}))

    def do_POST(self):
        self.answer(self.server.service.token)

    def answer(self, found):
        service = self.server.service
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        service.requests.append((self.command, self.path))
        if self.path != service.path:
            answer = refusal(404, "not_found")
        elif not service.knows(self.headers):
            answer = refusal(401, "unauthorized", "who are you?")
        else:
            answer = found(json.loads(body) if body else None)
        self.send(answer)

    def send(self, answer):
        self.server.service.is_over.wait(answer.delay_s)
        self.send_response(answer.status)
        for name, value in {"Content-Length": len(answer.body), "Content-Type": "application/json",
                            **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # a client that goes away is part of the tests


class TokenService:
    def __init__(self, emulator):
        self.emulator = emulator
        self.path = "/v1/token"
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="sluice-tokens-"))
        make_certificates(self.dir)
        self.ca, self.bearer_file = self.dir / "ca.pem", self.dir / "bearer"
        self.is_over = threading.Event()
        self.reset()
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.service = self
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.dir / "server.pem", self.dir / "server.key")
        self.context.load_verify_locations(self.ca)
        self.server.socket = self.context.wrap_socket(
            self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        self.url = f"https://127.0.0.1:{self.port}{self.path}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
        shutil.rmtree(self.dir)

    def reset(self):
        self.logins, self.kept, self.plan = {}, {}, []
        self.asks, self.requests = [], []
        self.before = 0  # requests to the token endpoint that a test itself has made
        self.bearer = "a-bearer.of-the-broker_0123456789"
        self.write_bearer(self.bearer)
        if hasattr(self, "context"):
            self.wants_certificate(False)

    def write_bearer(self, text, mode=0o600):
        self.bearer_file.unlink(missing_ok=True)
        self.bearer_file.write_text(text + "\n")
        self.bearer_file.chmod(mode)

    def wants_certificate(self, does):
        """Of connections from now on."""
        self.context.verify_mode = ssl.CERT_REQUIRED if does else ssl.CERT_NONE

    def settings(self, by="bearer"):
        """Keys of sluice.conf. `by`: what the broker is known by: bearer, certificate, both."""
        keys = {"token_service": self.url, "token_service_ca_file": self.ca}
        if by in ("bearer", "both"):
            keys["token_service_bearer_file"] = self.bearer_file
        if by in ("certificate", "both"):
            keys.update(token_service_cert_file=self.dir / "client.pem", token_service_key_file=self.dir / "client.key")
        return keys

    # ---- the service

    def knows(self, headers):
        """With mutual TLS the connection itself is the proof."""
        if self.context.verify_mode == ssl.CERT_REQUIRED:
            return True
        shown = headers.get("Authorization", "")
        return hmac.compare_digest(shown.encode(), f"Bearer {self.bearer}".encode())

    def token(self, ask):
        self.asks.append(ask)
        if self.plan:
            planned = self.plan.pop(0)
            answer = planned(ask) if callable(planned) else planned
            if answer:
                return answer
        return self.answer(ask)

    def answer(self, ask):
        channel = self.logins.get((ask["tenant"], ask["channel"]))
        if not channel:
            return refusal(404, "unknown_channel", f"nobody has logged {ask['channel']} in")
        return Answer(200, self.reply_for(channel, ask["fresh"]))

    def reply_for(self, channel, is_fresh=False):
        """A token is kept for half its life, unless YouTube has refused it."""
        token, until = self.kept.get(channel, (None, 0))
        now = time.time()
        if is_fresh or now > until - LIFE_S / 2:
            token, until = self.emulator.access_token(channel), now + LIFE_S
            self.kept[channel] = token, until
        return {"access_token": token, "expires_in": int(until - now), "channel_id": channel, "scope": SCOPE}
