"""Alarms are told to notify_url: signed as docs/notify.md says, until they are taken, and nowhere else."""

import http.server
import json
import pathlib
import re
import sys
import threading

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import oracles  # noqa: E402
import postgres  # noqa: E402
from job_fixtures import *  # noqa: E402, F403
from sluice import until  # noqa: E402

KEY = b"0123456789abcdef-of-the-hook"
MANUAL = (pathlib.Path(__file__).resolve().parents[2] / "docs" / "notify.md").read_text()


class Hook(http.server.ThreadingHTTPServer):
    """Keeps what it gets. `answers`: status codes to give, then 204."""
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/hook"
        self.got, self.answers = [], []


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, dict(self.headers), body))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 204)
        self.send_header("Location", self.server.url + "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def hook():
    with Hook() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def cluster():
    with postgres.Cluster() as cluster:
        yield cluster


def told(world, hook, *names, **settings):
    """A home whose alarms are told to the hook."""
    home = world.home(*names, watch_every_ms="100ms", request_timeout_ms="1s", allow_plain_loopback="yes", **settings)
    key = home.file("hook.key", 1)
    key.write_bytes(KEY + b"\n")
    key.chmod(0o400)
    home.configure(notify_url=hook.url, notify_key_file=str(key), notify_allow_private="yes")
    return home


def start_with_an_alarm(world, home):
    home.ok("add", home.file("clip.mp4", SIZE), "--channel", "main")
    world.emulator.faults({"on": "token", "do": "smaller-scope"})
    return home.start_worker()


def short_key(home):
    path = home.file("short.key", 3)
    path.chmod(0o400)
    return path


def is_ours(headers, body):
    example = {}
    exec(re.search(r"```python\n(.*?)```", MANUAL, re.S)[1], example)
    return example["is_ours"](KEY, headers, body)


def alarm_of(home):
    return home.ok("alarm", "list", "--json").json


def test_an_alarm_is_told_once_and_signed(world, hook):
    home = told(world, hook)
    worker = start_with_an_alarm(world, home)
    until(lambda: hook.got, worker.log)
    until(lambda: oracles.query(home, "select told_at_ms from alarm")[0]["told_at_ms"] > 0, worker.log)
    path, headers, body = hook.got[0]
    assert path == "/hook" and is_ours(headers, body)
    assert not is_ours(headers, body + b" ") and not is_ours({**headers, "Sluice-Timestamp": "1"}, body)
    said, alarm = json.loads(body), alarm_of(home)
    for name in ("id", "signal", "severity", "tenant", "channel", "youtube", "message", "reaction"):
        assert said[name] == alarm[name], name
    assert (said["signal"], said["client"], said["count"]) == ("token_scopes", "", 1)
    worker.stop()
    assert len(hook.got) == 1


def revoke(world, home, name="gone"):
    world.emulator.ctl("revoke", {"channel": home.channels[name]})
    world.emulator.ctl("expire", {})


def log_in(world, home, name):
    with world.consent:
        assert home.login(name, home.channels[name])[0].rc == 0


def k03_one_notice_an_event(world, hook, home, workers):
    """A login is revoked, and again after a new one: twice a notice, however many jobs and workers meet it."""
    def add(name):
        return home.ok("add", home.file(f"{name}-{len(home.accepted)}.mp4", SIZE), "--channel", name).line

    def logs():
        return "\n".join(worker.log() for worker in workers)

    def is_told():
        closed = {alarm["id"] for alarm in home.ok("alarm", "list", "--all", "--json").objects}
        return {json.loads(body)["id"] for _, _, body in hook.got} == closed

    for event in (1, 2):
        revoke(world, home)
        jobs = [add("gone") for _ in range(4)]
        good = add("good")
        until(lambda: all(standing(home, job) == "held channel_auth" for job in jobs), logs)
        until(lambda: standing(home, good) == "completed", logs)
        until(lambda: len(hook.got) >= event and is_told(), logs)
        log_in(world, home, "gone")
        until(lambda: all(standing(home, job) == "completed" for job in jobs), logs)
        assert home.ok("alarm", "list", "--json").objects == []
    for worker in workers:
        worker.stop()
    assert len(hook.got) == 2
    said = [json.loads(body) for _, _, body in hook.got]
    assert len({one["id"] for one in said}) == 2
    for one in said:
        assert (one["signal"], one["channel"], one["reaction"], one["count"]) == ("channel_stopped", "gone", "jobs held", 1)
        assert one["message"].startswith("channel_auth: ")


def test_k03_one_notice_for_a_revoked_login(world, hook):
    home = told(world, hook, "gone", "good")
    k03_one_notice_an_event(world, hook, home, [home.start_worker()])


@pytest.mark.skipif(not postgres.available(), reason="PostgreSQL is not there")
def test_k03_one_notice_of_several_workers(world, hook, cluster):
    home = told(world, hook, "gone", "good", store=cluster.new_database(), per_channel=0)
    k03_one_notice_an_event(world, hook, home, [home.start_worker("--concurrency", "2") for _ in range(3)])


@pytest.mark.parametrize("status", [500, 302])
def test_what_was_not_taken_is_told_again_to_the_same_address(world, hook, status):
    hook.answers = [status]
    home = told(world, hook)
    worker = start_with_an_alarm(world, home)
    until(lambda: len(hook.got) == 2, worker.log)
    worker.stop()
    assert {path for path, _, _ in hook.got} == {"/hook"}
    assert len({json.loads(body)["id"] for _, _, body in hook.got}) == 1
    assert all(is_ours(headers, body) for _, headers, body in hook.got)


@pytest.mark.parametrize("settings, said", [
    ({"notify_allow_private": "no"}, "is a private address"),
    ({"notify_url": "http://hooks.example.org/"}, "over https alone"),
    ({"notify_key_file": "/nowhere"}, "/nowhere"),
    ({"notify_key_file": None}, "needs notify_key_file"),
    ({"notify_key_file": "hook.key"}, "16 to 1024 bytes")])
def test_what_is_not_safe_is_refused_at_the_start(world, hook, settings, said):
    home = told(world, hook)
    if settings.get("notify_key_file") == "hook.key":
        settings = {"notify_key_file": str(short_key(home))}
    home.configure(**settings)
    result = home.run("worker", "--drain")
    assert result.rc != 0 and said in result.err and hook.got == []
    home.configure(notify_url=None, notify_key_file=None)
