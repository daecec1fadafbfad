"""A worker's web endpoint: what it answers, what it refuses, and what it tells of a worker's work."""

import contextlib
import http.client
import os
import pathlib
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import postgres  # noqa: E402
from job_fixtures import *  # noqa: E402,F401,F403
from job_fixtures import SIZE  # noqa: E402
from sluice import ROOT, Sluice, until  # noqa: E402

SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\d+(?:\.\d+)?|\+Inf|NaN)')


class Endpoint:
    """A worker with --listen, and requests to it."""

    def __init__(self, home, *args, **kwargs):
        self.home = home
        self.worker = home.start_worker("--listen", "0", *args, **kwargs)
        self.port = int(self.worker.wait_for_log(r"address=127\.0\.0\.1:(\d+)").group(1))

    def request(self, path, method="GET", body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            reply = connection.getresponse()
            reply.text = reply.read().decode()
            return reply
        finally:
            connection.close()

    def raw(self, data):
        """What is answered to these bytes, until the connection is closed."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(data)
            reply = b""
            with contextlib.suppress(ConnectionError):
                while part := connection.recv(65536):
                    reply += part
            return reply.decode()

    def readiness(self):
        reply = self.request("/readyz")
        return reply.status, reply.text.strip()

    def until_ready(self):
        until(lambda: self.readiness()[0] == 200, self.worker.log)
        return self

    def metrics(self):
        reply = self.request("/metrics")
        assert reply.status == 200, reply.text
        self.home.said.append(reply.text)  # is searched for secrets when the test is over
        return parse(reply.text)

    def value(self, name, **labels):
        return self.metrics()[name].get(tuple(sorted(labels.items())), 0)


def parse(text):
    """{name: {labels: value}}. As strict as a scraper may be: each name is introduced once, by HELP and TYPE; no series
    comes twice; buckets ascend and end with the count."""
    found, types, name = {}, {}, None
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name = line.split(" ", 3)[2]
            assert name not in types and name.startswith("sluice_"), line
        elif line.startswith("# TYPE "):
            assert line.split(" ")[2] == name, line
            types[name] = line.split(" ")[3]
        else:
            match = SAMPLE.fullmatch(line)
            assert match, line
            base = re.sub("_(bucket|sum|count)$", "", match[1]) if types[name] == "histogram" else match[1]
            assert base == name, line
            labels = tuple(sorted(re.findall(r'([a-z_]+)="((?:[^"\\]|\\.)*)"', match[2] or "")))
            series = found.setdefault(match[1], {})
            assert labels not in series, line
            series[labels] = float(match[3])
    for name, kind in types.items():
        found.setdefault(name, {})
        if kind == "histogram":
            buckets = list(found[name + "_bucket"].values())
            assert buckets == sorted(buckets) and buckets[-1] == found[name + "_count"][()], name
    return found


@contextlib.contextmanager
def locked(home):
    """Nobody can write to the store."""
    connection = sqlite3.connect(home.store, isolation_level=None, timeout=30)
    connection.execute("begin immediate")
    try:
        yield
    finally:
        connection.execute("rollback")
        connection.close()


@pytest.fixture
def endpoint(world):
    return Endpoint(world.home()).until_ready()


def test_it_is_alive_and_ready(endpoint):
    for path, said in (("/healthz", "alive\n"), ("/readyz", "ready\n")):
        reply = endpoint.request(path)
        assert (reply.status, reply.text) == (200, said)
        assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_replies_are_for_no_cache_no_frame_and_no_script(endpoint):
    reply = endpoint.request("/metrics")
    assert reply.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
    assert "Server" not in reply.headers


def test_head_is_get_without_the_body(endpoint):
    reply = endpoint.request("/readyz", "HEAD")
    assert (reply.status, reply.text, reply.headers["Content-Length"]) == (200, "", "6")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW"])
def test_it_can_only_be_read(endpoint, method):
    reply = endpoint.request("/metrics", method)
    assert reply.status == 405 and reply.headers["Allow"] == "GET, HEAD"


def test_what_is_not_there_is_not_found(endpoint):
    for path in ("/", "/metrics/", "/../etc/passwd", "/metrics%00", "/healthz2", "/v1/jobs"):
        assert endpoint.request(path).status == 404, path


def test_bodies_and_endless_heads_are_refused(endpoint):
    assert endpoint.request("/metrics", body="x" * 100).status == 413
    chunked = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert " 413 " in endpoint.raw(chunked.encode())
    long_head = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n" + "".join(f"X-{n}: {'y' * 1000}\r\n" for n in range(100))
    reply = endpoint.raw(long_head.encode() + b"\r\n")
    assert reply == "" or re.match(r"HTTP/1\.1 4\d\d ", reply), reply
    assert " 200 " not in endpoint.raw(b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert " 200 " not in endpoint.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 50 + b"\r\n\r\n")
    assert endpoint.readiness() == (200, "ready")


def test_a_page_of_another_name_cannot_read_it(endpoint):
    assert endpoint.request("/metrics", headers={"Host": "rebound.example.com"}).status == 421
    assert endpoint.request("/metrics", headers={"Host": "localhost:9464"}).status == 200


def test_idle_connections_hold_nobody_up(world):
    home = world.home()
    endpoint = Endpoint(home).until_ready()
    idle = [socket.create_connection(("127.0.0.1", endpoint.port)) for _ in range(60)]  # some of them wait to be accepted
    job = home.ok("add", home.file("clip.mp4"), "--channel", "main").line
    until(lambda: home.job(job)["state"] == "completed", endpoint.worker.log)
    for connection in idle:
        connection.close()
    until(lambda: endpoint.readiness() == (200, "ready"), endpoint.worker.log)


def test_metrics_tell_what_was_done(world):
    home = world.home("main", "other")
    jobs = [home.ok("add", home.file(f"clip-{n}.mp4", SIZE), "--channel", "main").line for n in range(3)]
    world.emulator.faults({"on": "put", "nth": 2, "do": "return-503"})
    endpoint = Endpoint(home)
    until(lambda: all(home.job(job)["state"] == "completed" for job in jobs), endpoint.worker.log)
    until(lambda: endpoint.value("sluice_jobs_settled_total", state="completed", cause="") == 3, endpoint.worker.log)
    told = endpoint.metrics()
    assert told["sluice_jobs_claimed_total"][()] == 3
    assert told["sluice_confirmed_bytes_total"][()] == 3 * SIZE
    assert told["sluice_sent_bytes_total"][()] >= 3 * SIZE
    assert told["sluice_retries_total"][(("class", "http_5xx"),)] == 1
    assert told["sluice_http_replies_total"][(("class", "5xx"), ("request", "put"))] == 1
    assert told["sluice_http_replies_total"][(("class", "2xx"), ("request", "put"))] == 3
    assert told["sluice_quota_charged_total"][(("bucket", "uploads"),)] == 3
    assert told["sluice_first_byte_seconds_count"][()] == 3
    assert told["sluice_job_seconds_count"][()] == 3
    assert told["sluice_leases_lost_total"][()] == 0
    assert told["sluice_store_commits_total"][()] == told["sluice_store_batch_requests_count"][()] > 0
    assert told["sluice_slots_active"][()] == told["sluice_transfers_open"][()] == 0
    assert 1_000_000 < told["sluice_resident_memory_bytes"][()] < 4e9


def test_metrics_tell_what_waits_and_why(world):
    home = world.home(region="eu")
    home.ok("channel", "pause", "main")
    for n in range(2):
        home.ok("add", home.file(f"clip-{n}.mp4", SIZE), "--channel", "main", "--region", "eu")
    endpoint = Endpoint(home).until_ready()
    until(lambda: endpoint.metrics()["sluice_queue_depth"], endpoint.worker.log)
    told = endpoint.metrics()
    place = (("cause", "channel_paused"), ("region", "eu"), ("state", "held"), ("tenant", "default"))
    assert told["sluice_queue_depth"] == {place: 2}
    assert told["sluice_queue_bytes"] == {place: 2 * SIZE}
    bucket = (("bucket", "uploads"), ("client", "default"), ("tenant", "default"))
    assert told["sluice_quota_limit"][bucket] == 100 and told["sluice_quota_used"][bucket] == 0
    home.ok("job", "cancel", home.jobs()[0]["id"])  # it is counted again while somebody asks
    until(lambda: endpoint.metrics()["sluice_queue_depth"] == {place: 1}, endpoint.worker.log)


@pytest.mark.skipif(not postgres.available(), reason="PostgreSQL is not installed")
def test_the_same_is_told_of_a_store_in_postgres(job_emulator):
    with postgres.Cluster() as cluster, Sluice(job_emulator, store=cluster.new_database()) as home:
        home.ready("main")
        home.ok("channel", "pause", "main")
        home.ok("add", home.file("clip.mp4", SIZE), "--channel", "main")
        endpoint = Endpoint(home).until_ready()
        until(lambda: endpoint.metrics()["sluice_queue_depth"], endpoint.worker.log)
        place = (("cause", "channel_paused"), ("region", ""), ("state", "held"), ("tenant", "default"))
        assert endpoint.metrics()["sluice_queue_depth"] == {place: 1}
        assert endpoint.metrics()["sluice_workers"][()] <= 1
        cluster.stop()
        until(lambda: endpoint.readiness() == (503, "the store does not answer, or refuses"), endpoint.worker.log)
        assert endpoint.request("/healthz").status == 200
        cluster.start()
        endpoint.until_ready()
        assert endpoint.value("sluice_store_reopened_total") >= 1
        assert endpoint.worker.stop()[0] == 0


def test_h05_a_refusal_for_quota_that_we_did_not_foresee_is_told(world):
    home = world.home()
    job = home.ok("add", home.file("clip.mp4"), "--channel", "main").line
    world.emulator.faults({"on": "start", "do": "return-403", "reason": "quotaExceeded", "domain": "youtube.quota"})
    endpoint = Endpoint(home)
    until(lambda: home.job(job)["cause"] == "quota", endpoint.worker.log)
    until(lambda: endpoint.value("sluice_jobs_settled_total", state="held", cause="quota") == 1, endpoint.worker.log)
    assert endpoint.value("sluice_quota_drift_total") == 1


def test_x06_a_broker_that_was_replaced_is_counted(world):
    home = world.home()
    endpoint = Endpoint(home).until_ready()
    os.kill(endpoint.worker.broker_pid(), signal.SIGKILL)
    until(lambda: endpoint.value("sluice_broker_restarts_total") == 1, endpoint.worker.log)
    endpoint.until_ready()


def test_d08_a_store_that_does_not_take_anything_is_told(world):
    home = world.home()
    endpoint = Endpoint(home).until_ready()
    with locked(home):
        until(lambda: endpoint.readiness()[0] == 503, endpoint.worker.log)
        assert endpoint.readiness()[1] == "the store does not answer, or refuses"
        assert endpoint.request("/healthz").status == 200  # a restart would not help
        until(lambda: endpoint.value("sluice_store_up") == 0, endpoint.worker.log)
    endpoint.until_ready()


def test_x03_who_leaves_says_so_at_once_and_is_gone_in_time(world):
    home = world.home()
    job = home.ok("add", home.file("clip.mp4", SIZE), "--channel", "main").line
    world.emulator.faults({"on": "put", "nth": 2, "do": "stall-for-20s-after-128K"})
    endpoint = Endpoint(home).until_ready()
    until(lambda: endpoint.value("sluice_transfers_open") == 1 and home.job(job)["confirmed_bytes"], endpoint.worker.log)
    with locked(home):  # so that leaving takes long enough to be seen
        endpoint.worker.signal(signal.SIGTERM)
        until(lambda: endpoint.readiness() == (503, "draining"), endpoint.worker.log)
        assert endpoint.value("sluice_draining") == 1
    assert endpoint.worker.wait(10) == 0
    assert home.job(job)["state"] == "queued" and home.job(job)["lease_owner"] is None
    with pytest.raises(OSError):
        endpoint.request("/healthz")
    home.ok("worker", "--drain", "--drain-wait", "1s")
    assert home.job(job)["state"] == "completed"


def test_an_address_that_cannot_be_had_is_told(world):
    home = world.home()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"cannot listen on {port}: Address already in use" in home.fails(1, "worker", "--listen", port).err
    assert "expected ADDRESS:PORT" in home.fails(3, "worker", "--listen", "somewhere").err


def test_other_addresses_only_where_they_are_named(world):
    home = world.home(listen="127.0.0.2:0")
    worker = home.start_worker()
    port = int(worker.wait_for_log(r"address=127\.0\.0\.2:(\d+)").group(1))
    worker.wait_for_log("worker ready")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port)).close()
    assert worker.stop()[0] == 0


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_prometheus_own_tool_has_nothing_to_say(endpoint):
    text = endpoint.request("/metrics").text
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and not done.stderr.strip(), done.stderr


def test_every_metric_is_in_the_manual():
    with Sluice() as sluice:
        named = re.findall(r"^### `(\w+)`$", sluice.ok("reference", "metrics").out, re.M)
    in_manual = re.findall(r"^### `(\w+)`$", (ROOT / "docs" / "metrics.md").read_text(), re.M)
    assert named == in_manual and len(named) > 30
