"""The CDN's copy of a file is asked for its size before anything is uploaded."""

import base64
import os
import pathlib
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import oracles  # noqa: E402
from cdn import Answer, Cdn, openssl  # noqa: E402
from job_fixtures import *  # noqa: E402, F403
from sluice import until  # noqa: E402

SECRET = "policy-signature-of-a-signed-url"


@pytest.fixture(scope="module")
def shared_cdn():
    with Cdn() as cdn:
        yield cdn


@pytest.fixture
def cdn(shared_cdn):
    """After each test: the CDN saw no token and no cookie."""
    shared_cdn.reset()
    yield shared_cdn
    for request in shared_cdn.requests:
        assert not {"Authorization", "Proxy-Authorization", "Cookie"} & set(request.headers), request
        assert request.method in ("HEAD", "GET")


def alter(home, sql, *values):
    """Writes to the store from outside, as another service would."""
    with sqlite3.connect(home.store, timeout=30) as connection:
        connection.execute(sql, values)
    connection.close()


def home_for(world, cdn, **settings):
    return world.home(**{"cdn_ca_file": cdn.ca, "cdn_allow_private": "yes", **settings})


def add(home, url, size=SIZE):
    return home.ok("add", home.file(f"clip-{len(home.accepted)}.mp4", size), "--channel", "main", "--cdn-url", url).line


def run(world, cdn, plan=(), home=None, cdn_size=SIZE, **settings):
    """A job's life with a CDN that has a file of this size and answers first what is planned."""
    home = home or home_for(world, cdn, **settings)
    cdn.files["/clip.mp4"] = cdn_size
    cdn.plan = list(plan)
    job = add(home, f"{cdn.url}/clip.mp4?sig={SECRET}")
    worker = home.start_worker("--drain", "--drain-wait", "1s")
    assert worker.wait() == 0
    assert SECRET not in worker.log()
    assert all(SECRET not in str(event) for event in home.audit(job))
    return home, Run(world, home, job)


def assert_nothing_was_spent(world, run):
    assert world.emulator.journal(op="start") == []
    assert [row for row in oracles.ledger(run.home) if row["bucket"] == "uploads" and row["used"]] == []
    assert not run.job["has_session"]


def test_the_same_size_goes_on(world, cdn):
    home, job = run(world, cdn)
    assert job.standing == "completed" and cdn.methods == ["HEAD"]
    assert cdn.requests[0].headers["Accept-Encoding"] == "identity"


def test_a_job_without_a_cdn_asks_none(world, cdn):
    home = home_for(world, cdn)
    assert world.run(home=home).standing == "completed"
    assert cdn.requests == []


def test_another_size_is_held_before_anything_is_spent(world, cdn):
    home, job = run(world, cdn, cdn_size=SIZE + 1)
    assert job.standing == "held cdn_mismatch" and cdn.methods == ["HEAD"]
    assert_nothing_was_spent(world, job)
    shown = home.ok("job", "show", job.id).out
    assert str(SIZE) in shown and str(SIZE + 1) in shown, shown
    assert home.run("job", "wait", job.id).rc == 75

    cdn.files["/clip.mp4"] = SIZE
    home.ok("job", "retry", job.id)
    assert job.drain().standing == "completed"


@pytest.mark.parametrize("status", [400, 403, 405, 501])
def test_where_head_is_refused_one_byte_is_asked_for(world, cdn, status):
    home, job = run(world, cdn, [Answer(status)])
    assert job.standing == "completed" and cdn.methods == ["HEAD", "GET"]
    assert cdn.requests[1].headers["Range"] == "bytes=0-0"
    assert cdn.requests[1].params == {"sig": SECRET}


def test_another_size_told_by_a_range_is_held(world, cdn):
    home, job = run(world, cdn, [Answer(403)], cdn_size=SIZE - 1)
    assert job.standing == "held cdn_mismatch"
    assert_nothing_was_spent(world, job)


def test_a_range_that_is_not_heeded_reads_no_file(world, cdn):
    """The whole file begins to come: its length is enough, and the connection is closed."""
    size = 1 << 30
    home, job = run(world, cdn, [Answer(405), Answer(200, SIZE, SIZE)])
    assert job.standing == "completed"
    home, job = run(world, cdn, [Answer(405), Answer(200, size, size)], home=home)
    assert job.standing == "held cdn_mismatch"
    assert cdn.requests[-1].sent_bytes < 100_000_000 < size


@pytest.mark.parametrize("answers", [
    [Answer(200, None), Answer(200, None, 100)],
    [Answer(405), Answer(206, 1, 1, Content_Range="bytes 0-0/*")],
    [Answer(405), Answer(206, 1, 1)],
    [Answer(200, SIZE, Content_Encoding="gzip"), Answer(200, SIZE, 10, Content_Encoding="gzip")],
], ids=["no-length", "unknown-size", "no-content-range", "compressed"])
def test_no_size_is_told(world, cdn, answers):
    home, job = run(world, cdn, answers)
    assert job.standing == "held cdn_mismatch" and job.job["error_reason"] == "cdnSizeUnknown"
    assert cdn.methods == ["HEAD", "GET"]
    assert_nothing_was_spent(world, job)


def test_head_without_a_size_and_then_a_range(world, cdn):
    home, job = run(world, cdn, [Answer(200, None)])
    assert job.standing == "completed" and cdn.methods == ["HEAD", "GET"]


@pytest.mark.parametrize("answers, methods", [
    ([Answer(404)], ["HEAD"]),
    ([Answer(410)], ["HEAD"]),
    ([Answer(403), Answer(403)], ["HEAD", "GET"]),
])
def test_a_cdn_that_has_no_such_file(world, cdn, answers, methods):
    status = answers[-1].status
    home, job = run(world, cdn, answers)
    assert job.standing == "held cdn_mismatch" and job.job["error_reason"] == "cdnRefused"
    assert str(status) in job.job["error_message"] and cdn.methods == methods
    assert_nothing_was_spent(world, job)


def test_a_redirect_is_not_followed(world, cdn):
    cdn.files["/elsewhere.mp4"] = SIZE
    home, job = run(world, cdn, [Answer(302, Location=f"{cdn.url}/elsewhere.mp4")])
    assert job.standing == "held cdn_mismatch" and "redirects" in job.job["error_message"]
    assert [request.path for request in cdn.requests] == ["/clip.mp4"]


def test_trouble_that_passes(world, cdn):
    home, job = run(world, cdn, [Answer(503), Answer(429), Answer(500)])
    assert job.standing == "completed" and cdn.methods == ["HEAD"] * 4
    assert len(job.journal("start")) == 1


def test_an_unreachable_cdn_is_waited_for(world, cdn):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        home = home_for(world, cdn)
        job = add(home, f"https://127.0.0.1:{closed.getsockname()[1]}/clip.mp4?sig={SECRET}")
        waiting = Run(world, home, job).drain()
    assert waiting.standing == "waiting" and oracles.seconds_from_now(waiting.job["next_at"]) > 0
    assert "127.0.0.1" in waiting.job["error_message"] and SECRET not in waiting.job["error_message"]
    assert_nothing_was_spent(world, waiting)
    assert home.run("job", "wait", job, "--timeout", "1ms").rc == 75
    assert all(SECRET not in text for text in home.said if "retry" in text)


def test_a_long_retry_after_gives_the_lease_back(world, cdn):
    home = home_for(world, cdn)
    cdn.plan = [Answer(503, Retry_After="600")]
    result = home.run("upload", home.file("clip.mp4"), "--channel", "main", "--cdn-url", f"{cdn.url}/clip.mp4?sig={SECRET}")
    assert result.rc == 75 and SECRET not in result.out + result.err, result
    job, = home.jobs()
    assert job["state"] == "waiting" and 500 < oracles.seconds_from_now(job["next_at"]) < 700
    assert not job["lease_owner"]


def test_another_ca_is_not_trusted(world, cdn):
    """YouTube's CA file is not the CDN's: each counts for its own side alone."""
    home, job = run(world, cdn, cdn_ca_file=None)
    assert job.standing == "waiting" and cdn.requests == []


def test_a_stop_does_not_wait_for_a_cdn_that_hangs(world, cdn):
    over = threading.Event()
    home = home_for(world, cdn, request_timeout_ms="60s")
    cdn.check = lambda request: over.wait(60) and None
    job = add(home, f"{cdn.url}/clip.mp4")
    worker = home.start_worker()
    until(lambda: cdn.requests, worker.log)
    code, took_s = worker.stop()
    over.set()
    assert code == 0 and took_s < 10
    assert home.job(job)["state"] == "queued" and not home.job(job)["lease_owner"]


def test_a_cdn_that_hangs_is_given_up(world, cdn):
    over = threading.Event()
    home = home_for(world, cdn, request_timeout_ms="300ms")
    cdn.check = lambda request: over.wait(60) and None
    job = Run(world, home, add(home, f"{cdn.url}/clip.mp4")).drain()
    over.set()
    assert job.standing == "waiting" and "127.0.0.1" in job.job["error_message"]


# ---- where a URL may not lead


def test_c11_a_private_address_is_refused(world, cdn):
    home, job = run(world, cdn, cdn_allow_private="no")
    assert job.standing == "held cdn_mismatch" and job.job["error_reason"] == "cdnUrlRefused"
    assert "cdn_allow_private" in job.job["error_message"] and cdn.requests == []
    home.configure(cdn_allow_private="yes")
    home.ok("job", "retry", job.id)
    assert job.drain().standing == "completed"


def test_c11_a_name_that_leads_to_a_private_address(world, cdn):
    cdn.files["/clip.mp4"] = SIZE
    home = home_for(world, cdn, cdn_allow_private="no")
    job = Run(world, home, add(home, f"https://cdn.localhost:{cdn.port}/clip.mp4")).drain()
    assert job.standing == "waiting" and "no public address" in job.job["error_message"]
    assert cdn.requests == []
    home.configure(cdn_allow_private="yes")
    home.ok("job", "retry", job.id)
    assert job.drain().standing == "completed"


def test_what_gets_past_add_is_judged_again(world, cdn):
    """Jobs come from elsewhere, too: another version, another service."""
    home = home_for(world, cdn)
    job = add(home, f"{cdn.url}/clip.mp4")
    alter(home, "update job set cdn_url = ? where id = ?", f"http://cdn.example/clip.mp4?sig={SECRET}", job)
    held = Run(world, home, job).drain()
    assert held.standing == "held cdn_mismatch" and "https" in held.job["error_message"]
    assert SECRET not in held.job["error_message"]


def test_a_url_that_is_too_long(world, cdn):
    home = home_for(world, cdn)
    result = home.fails(3, "add", home.file("a.mp4"), "--channel", "main", "--cdn-url", f"{cdn.url}/{'x' * 4100}")
    assert "4096" in result.err


# ---- signed URLs

KEY_ID = "K2JCJMDEHXQW5F"
REPLACED = str.maketrans("-_~", "+=/")


class Signer:
    """A key pair as CloudFront wants it, and what CloudFront does with a signed URL."""

    def __init__(self, dir, kind):
        self.file, self.public = dir / f"{kind}.pem", dir / f"{kind}.pub"
        options = {"rsa": ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"),
                   "ecdsa": ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")}[kind]
        openssl("genpkey", *options, "-out", self.file)
        openssl("pkey", "-in", self.file, "-pubout", "-out", self.public)
        self.file.chmod(0o400)
        self.dir, self.seen = dir, []

    def check(self, request, base, hash="sha256"):
        """None, or the refusal."""
        base_url, _, rest = f"{base}{request.path}?{request.query}".partition("Expires=")
        expires, signature, *others = rest.split("&")
        signature = signature.removeprefix("Signature=")
        assert others == [f"Key-Pair-Id={KEY_ID}"] + (["Hash-Algorithm=SHA256"] if hash == "sha256" else [])
        self.seen.append(signature)
        policy = ('{"Statement":[{"Resource":"' + base_url[:-1] + '","Condition":{"DateLessThan":{"AWS:EpochTime":'
                  + expires + "}}}]}")
        (self.dir / "policy").write_text(policy)
        (self.dir / "signature").write_bytes(base64.b64decode(signature.translate(REPLACED), validate=True))
        try:
            openssl("dgst", f"-{hash}", "-verify", self.public, "-signature", self.dir / "signature", self.dir / "policy")
        except subprocess.CalledProcessError:
            return Answer(403)
        return None if time.time() < int(expires) < time.time() + 600 else Answer(403)

    def settings(self):
        return {"cdn_key_file": self.file, "cdn_key_id": KEY_ID, "cdn_sign_hosts": "127.0.0.1"}


def assert_unseen(home, signer, worker):
    """No line of the key's file, and no signature, in anything that was written."""
    written = [worker.log(), *home.said] + [path.read_text(errors="replace") for path in home.state.rglob("*") if path.is_file()]
    secrets = signer.seen + [line for line in signer.file.read_text().splitlines() if not line.startswith("-")]
    assert len(secrets) > 2
    for secret in secrets:
        assert not any(secret in text for text in written)


@pytest.mark.parametrize("kind, hash", [("rsa", "sha256"), ("rsa", "sha1"), ("ecdsa", "sha256")])
def test_a_signed_url(world, cdn, tmp_path, kind, hash):
    signer = Signer(tmp_path, kind)
    home = home_for(world, cdn, cdn_sign_hash=hash, **signer.settings())
    cdn.check = lambda request: signer.check(request, cdn.url, hash)
    home, job = run(world, cdn, home=home)
    assert job.standing == "completed" and len(signer.seen) == 1
    assert cdn.requests[0].params["sig"] == SECRET
    assert_unseen(home, signer, home.workers[-1])


def test_a_signed_url_without_a_query(world, cdn, tmp_path):
    signer = Signer(tmp_path, "rsa")
    home = home_for(world, cdn, **signer.settings())
    cdn.files["/clip.mp4"] = SIZE
    cdn.check = lambda request: signer.check(request, cdn.url)
    cdn.plan = [Answer(405)]
    job = Run(world, home, add(home, f"{cdn.url}/clip.mp4")).drain()
    assert job.standing == "completed" and cdn.methods == ["HEAD", "GET"]
    assert cdn.requests[0].query == cdn.requests[1].query and cdn.requests[0].query.startswith("Expires=")


def test_another_key_is_refused(world, cdn, tmp_path):
    """The test's own CDN can tell keys apart."""
    dirs = [tmp_path / "ours", tmp_path / "theirs"]
    for dir in dirs:
        dir.mkdir()
    ours, theirs = [Signer(dir, "rsa") for dir in dirs]
    cdn.check = lambda request: theirs.check(request, cdn.url)
    home, job = run(world, cdn, home=home_for(world, cdn, **ours.settings()))
    assert job.standing == "held cdn_mismatch" and cdn.methods == ["HEAD", "GET"]
    assert_nothing_was_spent(world, job)


def test_only_named_hosts_get_a_signature(world, cdn, tmp_path):
    home = home_for(world, cdn, **{**Signer(tmp_path, "rsa").settings(), "cdn_sign_hosts": "cdn.example,localhost"})
    home, job = run(world, cdn, home=home)
    assert job.standing == "completed" and set(cdn.requests[0].params) == {"sig"}


def test_what_is_signed_already_is_left_alone(world, cdn, tmp_path):
    home = home_for(world, cdn, **Signer(tmp_path, "rsa").settings())
    cdn.files["/clip.mp4"] = SIZE
    query = f"Expires=4102444800&Signature={SECRET}&Key-Pair-Id=OTHER"
    job = Run(world, home, add(home, f"{cdn.url}/clip.mp4?{query}")).drain()
    assert job.standing == "completed" and cdn.requests[0].query == query


def test_a_url_that_cannot_be_signed(world, cdn, tmp_path):
    home = home_for(world, cdn, **Signer(tmp_path, "rsa").settings())
    job = Run(world, home, add(home, f"{cdn.url}/all/*")).drain()
    assert job.standing == "held cdn_mismatch" and "escaped" in job.job["error_message"]
    assert cdn.requests == []


def test_a_key_that_is_not_there_yet(world, cdn, tmp_path):
    """The job waits, and says what for; `check` does, too. A worker that runs takes the key as soon as it is there."""
    signer = Signer(tmp_path, "rsa")
    key = signer.file.rename(tmp_path / "elsewhere.pem")
    home = home_for(world, cdn, **signer.settings())
    home, job = run(world, cdn, home=home)
    assert job.standing == "waiting" and str(signer.file) in job.job["error_message"]
    result = home.run("check")
    assert result.rc != 0 and f"there is no CDN key file {signer.file}" in result.out

    key.rename(signer.file)
    home.ok("job", "retry", job.id)
    assert job.drain().standing == "completed"
    assert "(RSA, 2048 bits) signs as " + KEY_ID in home.ok("check").out


def test_x06_a_broker_that_hangs_while_it_should_sign(world, cdn, tmp_path):
    """Neither a stop nor the next worker minds."""
    home = home_for(world, cdn, retry_base_ms="2s", retry_cap_ms="2s", **Signer(tmp_path, "rsa").settings())
    cdn.files["/clip.mp4"] = SIZE
    cdn.plan = [Answer(503)] * 100
    job = Run(world, home, add(home, f"{cdn.url}/clip.mp4"))
    worker = home.start_worker()
    until(lambda: cdn.requests, worker.log)
    os.kill(worker.broker_pid(), signal.SIGSTOP)
    time.sleep(2.5)  # longer than any pause: by now it asks the broker, or was never going to
    code, took_s = worker.stop()
    assert code == 0 and took_s < 10
    cdn.plan = []
    assert job.drain().standing == "completed"


@pytest.mark.parametrize("make, part", [
    (lambda signer: signer.file.chmod(0o444), "chmod 0400"),
    (lambda signer: signer.public.rename(signer.file), "public"),
    (lambda signer: (signer.file.unlink(), openssl("genrsa", "-out", signer.file, 1024), signer.file.chmod(0o400)),
     "2048 bits"),
    (lambda signer: (signer.file.unlink(), signer.file.write_text("nonsense"), signer.file.chmod(0o400)), "no private key"),
], ids=["open-to-all", "public", "short", "nonsense"])
def test_check_says_what_is_wrong_with_the_key(world, cdn, tmp_path, make, part):
    signer = Signer(tmp_path, "rsa")
    make(signer)
    if part == "public":
        signer.file.chmod(0o400)
    result = home_for(world, cdn, **signer.settings()).run("check")
    assert result.rc != 0
    line, = [line for line in result.out.splitlines() if "cdn_key_file" in line and line.startswith("FAIL")]
    assert part in line


def test_check_knows_an_unused_key_and_a_bad_ca(world, cdn, tmp_path):
    signer = Signer(tmp_path, "ecdsa")
    (tmp_path / "ca.pem").write_text("nonsense")
    home = home_for(world, cdn, cdn_key_file=signer.file, cdn_ca_file=tmp_path / "ca.pem")
    result = home.run("check")
    assert result.rc != 0 and "no host is named" in result.out
    assert [line for line in result.out.splitlines() if line.startswith("FAIL") and "cdn_ca_file" in line]
