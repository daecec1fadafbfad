"""A token service in place of the store's logins (docs/token-service.md): whole jobs, and all that it can get wrong."""

import json
import pathlib
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cdn import openssl  # noqa: E402
from job_fixtures import *  # noqa: E402, F403
from job_fixtures import SETTINGS  # noqa: E402
from sluice import Sluice, until  # noqa: E402
from token_service import Answer, TokenService, refusal  # noqa: E402


@pytest.fixture(scope="module")
def shared_service(job_emulator):
    with TokenService(job_emulator) as service:
        yield service


@pytest.fixture
def service(shared_service, world):
    """After each test: nobody was asked for a refresh, and the bearer stands in nothing that was written."""
    shared_service.reset()
    yield shared_service
    assert len(world.emulator.journal(op="token")) == shared_service.before
    for home in world.homes:
        logs = [worker.log() for worker in home.workers]
        assert shared_service.bearer not in "\n".join(home.said + logs)


def home_for(world, service, *names, by="bearer", **settings):
    """A home that has never seen a client's secret, with channels whose logins the service has."""
    home = Sluice(world.emulator, **{**SETTINGS, **service.settings(by), **settings})
    world.homes.append(home)
    home.channels = {}
    client = json.loads(pathlib.Path(world.emulator.client_secret).read_text())
    for key in ("client_secret", "auth_uri", "token_uri"):
        del client["installed"][key]
    client_file = home.home / "client.json"
    client_file.write_text(json.dumps(client))
    home.ok("init")
    home.ok("client", "import", client_file)
    for name in names or ("main",):
        home.channels[name] = service.logins["default", name] = world.new_channel()
        assert home.channels[name] in home.ok("channel", "import", name).line
    service.asks.clear()
    return home


def add(home, name="main", size=SIZE):
    return home.ok("add", home.file(f"{name}-{len(home.accepted)}.mp4", size), "--channel", name).line


def starts(world):
    return world.emulator.journal(op="start")


# ---- the usual way


@pytest.mark.parametrize("by", ["bearer", "certificate", "both"])
def test_a_whole_upload(world, service, by):
    service.wants_certificate(by != "bearer")
    home = home_for(world, service, by=by)
    job = add(home)
    home.ok("worker", "--drain")
    assert standing(home, job) == "completed"
    ask, = service.asks
    assert ask == {"version": 1, "tenant": "default", "channel": "main", "channel_id": home.channels["main"],
                   "scope": ask["scope"], "fresh": False}
    assert set(ask["scope"].split()) == {"https://www.googleapis.com/auth/youtube." + word
                                         for word in ("upload", "readonly")}
    assert "FAIL" not in home.ok("check", "--online").out


def test_one_question_for_many_jobs(world, service):
    home = home_for(world, service, per_channel=0)
    jobs = [add(home, size=1000) for _ in range(12)]
    service.plan = [lambda ask: time.sleep(0.5)]
    home.ok("worker", "--drain")
    assert [standing(home, job) for job in jobs] == ["completed"] * 12
    assert len(service.asks) == 1


def test_k01_a_token_that_ends_in_mid_upload(world, service):
    home = home_for(world, service, limit_rate="1M")
    job = add(home)
    worker = home.start_worker("--drain")
    until(lambda: world.emulator.journal(op="put"), worker.log)
    world.emulator.ctl("expire", {})
    assert worker.wait() == 0
    assert standing(home, job) == "completed" and len(starts(world)) == 1
    assert [ask["fresh"] for ask in service.asks] == [False, True]


def test_a_kept_token_that_has_ended_is_asked_for_anew(world, service):
    home = home_for(world, service)
    job = add(home)
    world.emulator.ctl("expire", {})  # the service does not know
    home.ok("worker", "--drain")
    assert standing(home, job) == "completed" and len(starts(world)) == 1
    assert [ask["fresh"] for ask in service.asks] == [False, True]


def test_its_name_may_lead_to_a_private_address(world, service):
    home = home_for(world, service, token_service=f"https://tokens.localhost:{service.port}{service.path}")
    job = add(home)
    home.ok("worker", "--drain")
    assert standing(home, job) == "completed"


def test_the_proxy_is_not_asked(world, service):
    home = home_for(world, service, proxy="http://127.0.0.1:9")
    assert "knows the broker" in home.run("check", "--online").out


@pytest.mark.parametrize("life", [
    {"expires_in": 0}, {"expires_in": -1}, {"expires_in": 2**63}, {"expires_in": "soon"}, {"expires_in": None},
    {"expires_at": "2001-01-01T00:00:00Z"}, {"expires_at": "9999-12-31T23:59:59Z"}, {"expires_at": "tomorrow"}],
    ids=repr)
def test_k05_odd_lifetimes(world, service, life):
    home = home_for(world, service)
    job = add(home)
    service.answer = lambda ask: Answer(200, {
        "access_token": world.emulator.access_token(home.channels["main"]), "channel_id": home.channels["main"], **life})
    try:
        home.ok("worker", "--drain")
    finally:
        del service.answer
    assert standing(home, job) == "completed" and len(service.asks) <= 3


# ---- refusals that a person must mend


def test_an_unknown_channel(world, service):
    home = home_for(world, service, "main", "good")
    jobs = [add(home), add(home), add(home, "good")]
    channel = service.logins.pop(("default", "main"))
    home.ok("worker", "--drain")
    assert [standing(home, job) for job in jobs] == ["held channel_auth", "held channel_auth", "completed"]
    assert "unknown_channel" in home.job(jobs[0])["error_message"] and "import" in home.job(jobs[0])["next"]
    asked = len(service.asks)
    home.ok("worker", "--drain")
    assert len(service.asks) == asked  # no loop
    home.fails(4, "channel", "import", "main")
    service.logins["default", "main"] = channel
    home.ok("channel", "import", "main")
    home.ok("worker", "--drain")
    assert [standing(home, job) for job in jobs] == ["completed"] * 3


@pytest.mark.parametrize("status", [403, 409])
def test_k03_a_revoked_login(world, service, status):
    home = home_for(world, service)
    job = add(home)
    service.plan = [refusal(status, "revoked", "the person took it back")]
    home.ok("worker", "--drain")
    assert standing(home, job) == "held channel_auth"
    assert "took it back" in home.job(job)["error_message"] and len(service.asks) == 1
    home.ok("channel", "resume", "main")  # mended at the service; the next question will tell
    home.ok("worker", "--drain")
    assert standing(home, job) == "completed"


def test_k04_a_refused_client(world, service):
    home = home_for(world, service)
    job = add(home)
    service.plan = [refusal(403, "client_refused", "deleted_client")]
    home.ok("worker", "--drain")
    assert standing(home, job) == "held channel_frozen" and starts(world) == []
    home.ok("channel", "resume", "main")
    home.ok("worker", "--drain")
    assert standing(home, job) == "completed"


@pytest.mark.parametrize("answer", [
    refusal(403, "scope_missing", "youtube.upload"),
    lambda ask: Answer(200, {"access_token": "t", "expires_in": 3600,
                             "scope": "https://www.googleapis.com/auth/youtube.readonly"})], ids=["told", "seen"])
def test_k07_a_scope_that_is_missing(world, service, answer):
    home = home_for(world, service)
    job = add(home)
    service.plan = [answer]
    home.ok("worker", "--drain")
    assert standing(home, job) == "held channel_auth" and starts(world) == []
    assert "youtube.upload" in home.job(job)["error_message"]


@pytest.mark.parametrize("is_honest", [True, False])
def test_k09_the_token_of_another_channel_sends_nothing(world, service, is_honest):
    home = home_for(world, service)
    job = add(home)
    other = world.new_channel()
    reply = service.reply_for(other)
    if not is_honest:
        reply["channel_id"] = home.channels["main"]
    service.plan = [Answer(200, reply)]
    home.ok("worker", "--drain")
    assert standing(home, job) == "held channel_auth"
    assert starts(world) == [] and world.emulator.videos() == []
    assert other in home.job(job)["error_message"]


def test_k09_each_new_token_is_looked_at(world, service):
    """Whose login stands behind the next one is not known by the last one."""
    home = home_for(world, service, limit_rate="1M")
    job = add(home)
    other = world.new_channel()
    worker = home.start_worker("--drain")
    until(lambda: world.emulator.journal(op="put"), worker.log)
    service.plan = [Answer(200, {**service.reply_for(other), "channel_id": home.channels["main"]})]
    world.emulator.ctl("expire", {"channel": home.channels["main"]})
    assert worker.wait() == 0
    assert standing(home, job) == "held channel_auth"
    home.configure(limit_rate=0)
    home.ok("channel", "import", "main")
    home.ok("worker", "--drain")
    assert standing(home, job) == "completed" and len(starts(world)) == 1


def test_an_import_of_another_channel_than_expected(world, service):
    home = home_for(world, service)
    service.logins["default", "new"] = channel = world.new_channel()
    result = home.fails(5, "channel", "import", "new", "--expect-channel", home.channels["main"])
    assert channel in result.err and service.asks[-1]["channel_id"] == home.channels["main"]
    service.logins["default", "main"] = channel
    assert home.channels["main"] in home.fails(5, "channel", "import", "main").err
    assert len(home.ok("channel", "list", "--json").objects) == 1


# ---- troubles that pass


@pytest.mark.parametrize("bad", [
    Answer(503), Answer(500, {"error": "revoked"}), Answer(429, {"error": "slow_down"}, Retry_After=1),
    Answer(404, b"<html>no such page</html>"), Answer(403, {"error": "something_new"}), Answer(302, Location="/elsewhere"),
    Answer(307, Location="https://example.com/"), Answer(200, b"not json"), Answer(200, b"[]"), Answer(200, {}), Answer(204),
    Answer(200, b'{"access_token": "' + b"x" * 5_000_000 + b'"}'), Answer(200, {"access_token": "x" * 5000}),
    Answer(200, {"access_token": "ya29.a\r\nX-Injected: yes"}), Answer(200, {"access_token": "a\0b"}),
    Answer(200, {"access_token": "ya29.good", "channel_id": 17}), Answer(200, {"access_token": "t", "token_type": "mac"})],
    ids=["503", "500", "429", "bare-404", "new-error", "redirect", "redirect-away", "text", "list", "empty", "nothing", "huge",
         "long", "crlf", "nul", "channel-number", "mac"])
def test_k02_k05_a_bad_answer_makes_jobs_wait(world, service, bad):
    home = home_for(world, service)
    job = add(home)
    service.plan = [bad]
    home.ok("worker", "--drain")
    assert standing(home, job) == "completed" and len(service.asks) == 2
    assert {path for _, path in service.requests} == {service.path}
    assert not [entry for entry in world.emulator.journal() if entry["status"] in (400, 401)]


def test_k02_a_service_that_hangs(world, service):
    home = home_for(world, service)
    job = add(home)
    service.plan = [Answer(200, {}, delay_s=60)]
    home.ok("worker", "--drain")
    assert standing(home, job) == "completed" and len(service.asks) == 2


def test_retry_after_is_kept_to(world, service):
    home = home_for(world, service)
    job = add(home)
    service.plan = [Answer(503, Retry_After=600)]
    home.ok("worker", "--drain", "--drain-wait", "1s")
    assert standing(home, job) == "waiting" and len(service.asks) == 1


# ---- who is who


def refused(world, home, service, *patterns):
    """The job waits, and the log says why in no uncertain terms; `check --online` says so, too."""
    job = add(home)
    worker = home.start_worker()
    worker.wait_for_log("level=error[^\n]*token service[^\n]*" + patterns[0])
    assert worker.stop()[0] == 0
    assert standing(home, job) in ("queued", "waiting") and starts(world) == []
    result = home.run("check", "--online")
    assert result.rc != 0 and any("FAIL" in line and "token_service" in line for line in result.lines), result
    assert patterns[-1] in result.out, result
    return job


def test_a_bearer_that_is_refused_and_then_renewed(world, service):
    home = home_for(world, service)
    service.bearer = "another-bearer.since-midnight_9876"
    job = refused(world, home, service, "status=401", "HTTP 401")
    worker = home.start_worker("--drain")
    worker.wait_for_log("status=401")
    service.write_bearer(service.bearer)
    assert worker.wait() == 0
    assert standing(home, job) == "completed"


def test_no_client_certificate(world, service):
    home = home_for(world, service)
    service.wants_certificate(True)
    job = refused(world, home, service, "certificate")
    home.configure(**service.settings("both"))
    home.ok("worker", "--drain")
    assert standing(home, job) == "completed"


def test_a_client_certificate_of_another_ca(world, service):
    home = home_for(world, service)
    service.wants_certificate(True)
    home.configure(token_service_cert_file=service.dir / "stranger.pem", token_service_key_file=service.dir / "stranger.key")
    refused(world, home, service, "client certificate")


def test_a_service_of_another_ca(world, service):
    home = home_for(world, service)
    home.configure(token_service_ca_file=service.dir / "other-ca.pem")
    refused(world, home, service, "certificate")
    home.configure(token_service_ca_file=world.emulator.ca)  # which ca_file trusts does not count here
    refused(world, home, service, "certificate")
    assert service.asks == []


@pytest.mark.parametrize("harm", ["missing", "readable", "empty", "lines", "directory"])
def test_k11_a_bearer_file_that_cannot_be_used(world, service, harm):
    home = home_for(world, service)
    job = add(home)
    if harm == "missing":
        service.bearer_file.unlink()
    elif harm == "readable":
        service.write_bearer(service.bearer, 0o644)
    elif harm == "empty":
        service.write_bearer("")
    elif harm == "lines":
        service.write_bearer("a\nX-Injected: yes")
    else:
        home.configure(token_service_bearer_file=service.dir)
    result = home.run("worker", "--drain")
    assert result.rc in (4, 5) and "bearer file" in result.err, result
    assert any("FAIL" in line and "bearer file" in line for line in home.run("check").lines)
    assert standing(home, job) == "queued" and service.asks == []


def test_k11_a_bearer_file_that_goes_while_a_worker_runs(world, service):
    home = home_for(world, service)
    worker = home.start_worker()
    worker.wait_for_log("broker_pid")
    service.bearer_file.unlink()
    job = add(home)
    worker.wait_for_log("level=error[^\n]*bearer file")
    assert standing(home, job) in ("queued", "uploading", "waiting") and service.asks == []
    service.write_bearer(service.bearer)
    until(lambda: standing(home, job) == "completed", worker.log)
    assert worker.stop()[0] == 0


@pytest.mark.parametrize("settings, said", [
    ({"token_service": "http://tokens.example/"}, "use https"), ({"token_service": "ftp://tokens.example/"}, "https://"),
    ({"token_service": "https://user:word@tokens.example/"}, "user name"),
    ({"token_service_bearer_file": None}, "anybody"), ({"token_service_cert_file": "cert.pem"}, "belong together"),
    ({"token_service_ca_file": "/dev/null"}, "no certificate")], ids=repr)
def test_a_configuration_that_is_refused(world, service, settings, said):
    home = home_for(world, service)
    home.configure(**settings)
    for command in (["worker", "--drain"], ["check"]):
        result = home.run(*command)
        assert result.rc in (3, 5) and said in result.out + result.err, result


def test_a_key_that_others_may_read(world, service):
    service.wants_certificate(True)
    home = home_for(world, service, by="certificate")
    key = home.home / "readable.key"
    key.write_bytes((service.dir / "client.key").read_bytes())
    key.chmod(0o640)
    home.configure(token_service_key_file=key)
    assert "may be read by others" in home.fails(5, "check").out


def test_a_key_with_a_password_is_refused_without_asking_for_it(world, service):
    service.wants_certificate(True)
    home = home_for(world, service, by="certificate")
    key = home.home / "locked.key"
    openssl("pkey", "-aes256", "-passout", "pass:word", "-in", service.dir / "client.key", "-out", key)
    home.configure(token_service_key_file=key)
    assert "locked.key" in home.fails(1, "check", "--online").out


# ---- what it replaces


def test_there_is_no_login_of_ours(world, service):
    home = home_for(world, service)
    assert "import main" in home.fails(2, "channel", "login", "main").err
    channel = home.ok("channel", "show", "main", "--json").json
    assert channel["logged_in"] and channel["state"] == "active"
    assert "token_uri" not in home.ok("check", "--online").out
    home.ok("channel", "remove", "main")
    home.configure(token_service=None)
    assert "set token_service" in home.fails(2, "channel", "import", "main").err
    assert "client_secret" in home.fails(3, "client", "import", home.home / "client.json").err


def test_from_logins_in_the_store_to_the_service(world, service):
    """Channels that were logged in before go on under the same names."""
    home = world.home()
    service.before = len(world.emulator.journal(op="token"))
    service.logins["default", "main"] = home.channels["main"]
    home.configure(**service.settings())
    job = add(home)
    home.ok("worker", "--drain")
    assert standing(home, job) == "completed" and len(service.asks) == 1
