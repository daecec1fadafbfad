"""C02, C09 to C12: what only a network can do to a job. Each test has a network of its own (tests/support/netns.py)."""

import json
import os
import pathlib
import random
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from authority import Authority  # noqa: E402
from job_fixtures import *  # noqa: E402, F403
from netns import PUBLIC, Link, in_own_network, ip, nft, nft_clear, nft_count, put_in_place  # noqa: E402
from resolver import Resolver  # noqa: E402
from sluice import until  # noqa: E402
from wire import Proxy, Wire  # noqa: E402

SEED = int(os.environ.get("SLUICE_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
PATIENT = {"connect_timeout_ms": "20s", "stall_timeout_ms": "5s", "request_timeout_ms": "20s", "retry_tries": 100}
QUICK = {"connect_timeout_ms": "1s", "stall_timeout_ms": "1s", "request_timeout_ms": "2s"}


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


def public_world(authority, name, *hosts):
    """A world whose emulator also has a certificate for other hosts."""
    names = ",".join(["IP:127.0.0.1", *hosts])
    return own_world(*authority.certificate(name, host=names), ca=authority.ca)


def begun(world, wire, home, size=6_000_000):
    """A worker that has sent a part of a file over the wire."""
    job = home.ok("add", home.file("clip.mp4", size), "--channel", "main").line
    before = wire.carried_bytes
    worker = home.start_worker("--drain")
    until(lambda: wire.carried_bytes > before + size // 4, worker.log)
    return job, worker


def assert_completes(world, home, job, worker):
    assert worker.wait() == 0
    assert standing(home, job) == "completed", worker.log()
    video = next(video for video in world.emulator.videos() if job in video["file_name"])
    assert video["received_bytes"] - video["bytes"] <= 2 * CHUNK
    starts = [entry for entry in world.emulator.journal(op="start") if entry["channel"] == home.channels["main"]]
    assert len(starts) == 1


# ---- packets that go nowhere


@in_own_network
def test_c01_refused_by_the_kernel():
    with own_world() as world, Wire(world.emulator) as wire:
        home = world.home(api_root=wire.url, limit_rate="4M", retry_tries=100, **QUICK)
        job, worker = begun(world, wire, home)
        nft(f'tcp dport {wire.port} counter reject with tcp reset comment "refused"')
        worker.wait_for_log("retry .*connect failed")
        assert nft_count("refused") > 0
        nft_clear()
        assert_completes(world, home, job, worker)


@in_own_network
def test_c02_a_syn_that_is_swallowed():
    """The connection is given up when its time is over, and the job goes on where it was."""
    with own_world() as world, Wire(world.emulator) as wire:
        home = world.home(api_root=wire.url, limit_rate="4M", retry_tries=100, **QUICK)
        job, worker = begun(world, wire, home)
        nft(f'tcp dport {wire.port} tcp flags & (syn|ack) == syn counter drop comment "swallowed"')
        wire.cut()
        worker.wait_for_log("retry .*connect failed")
        assert nft_count("swallowed") > 0
        nft_clear()
        assert_completes(world, home, job, worker)


@in_own_network
def test_c10_a_kept_connection_that_nobody_knows_any_more():
    """As behind a NAT that has forgotten it: what is sent on it goes nowhere, without a word. Fresh ones are fine."""
    with own_world() as world, Wire(world.emulator) as wire:
        home = world.home(api_root=wire.url, **QUICK)
        job = home.ok("add", home.file("first.mp4", SIZE), "--channel", "main").line
        worker = home.start_worker()
        until(lambda: standing(home, job) == "completed", worker.log)
        for port in wire.ports():
            nft(f'tcp dport {wire.port} tcp sport {port} counter drop comment "forgotten"')
        callers = wire.callers
        job = home.ok("add", home.file("second.mp4", SIZE), "--channel", "main").line
        until(lambda: standing(home, job) == "completed", worker.log)
        assert wire.callers > callers and nft_count("forgotten") > 0
        assert worker.stop()[0] == 0
        assert len(world.emulator.journal(op="start")) == 2
        assert len(world.emulator.videos()) == 2


# ---- C09: a bad line


def far_away(world, place, number, size, settings, starts_max=1, **line):
    """The whole of a worker's life at the other end of a bad line: tokens, sessions, bytes. Returns what the line did."""
    link = Link(number, SEED + number)
    with Wire(world.emulator, link.host) as wire:
        secret = json.loads(pathlib.Path(world.emulator.client_secret).read_text())
        for client in secret.values():
            client["token_uri"] = client["token_uri"].replace(world.emulator.url, wire.url)
        home = world.home(api_root=wire.url, **{**PATIENT, **settings})
        (place / f"secret-{number}.json").write_text(json.dumps(secret))
        home.ok("client", "import", place / f"secret-{number}.json")
        job = home.ok("add", home.file("clip.mp4", size), "--channel", "main").line
        link.be(**line)
        worker = home.start_worker("--drain", program_prefix=link.prefix)
        assert worker.wait() == 0
        assert standing(home, job) == "completed", (line, worker.log())
        assert wire.carried_bytes > size
        starts = [entry for entry in world.emulator.journal(op="start") if entry["channel"] == home.channels["main"]]
        assert 1 <= len(starts) <= starts_max, (line, starts, worker.log())
    return link.close()


@in_own_network
def test_c09_a_bad_line(authority, tmp_path):
    """Loss, delay, disorder, and a hop that swallows what is long: everything arrives, once, as it was."""
    print(f"SLUICE_TEST_SEED={SEED}")

    def delayed():
        far_away(world, tmp_path, 1, 350_000, {}, delay_ms=300)

    def lossy():
        did = far_away(world, tmp_path, 2, 3_000_000, {}, delay_ms=5, loss=10, reorder=20, double=20)
        assert did["lost"] and did["reordered"] and did["doubled"]

    def very_lossy():
        # Of ten packets three are lost: a start whose reply does not come is made again, as anywhere (H01).
        assert far_away(world, tmp_path, 3, 400_000, {}, starts_max=3, delay_ms=1, loss=300)["lost"] > 50

    def black_hole():
        assert far_away(world, tmp_path, 4, 600_000, QUICK, delay_ms=5, mtu=1400)["too_long"] > 0

    with public_world(authority, "line", *[f"IP:10.9.{number}.1" for number in range(1, 5)]) as world:
        world.at_once(delayed, lossy, very_lossy, black_hole)


# ---- C11: names


def named(world, name, file="clip.mp4", size=SIZE, **settings):
    """A home that knows the API by a name alone, and one job in it."""
    home = world.home(api_root=f"https://{name}.example.test:{world.wire.port}", **{**QUICK, "retry_tries": 100, **settings})
    return home, home.ok("add", home.file(file, size), "--channel", "main").line


def nowhere(world, name, answer, said):
    """The job waits, nothing is sent, and all is well again with the name."""
    names = world.resolver.names
    names[f"{name}.example.test"] = [PUBLIC]
    home, job = named(world, name)
    names[f"{name}.example.test"] = answer
    worker = home.start_worker()
    worker.wait_for_log(f"{name}.example.test: .*{said}")
    assert standing(home, job) in ("queued", "uploading") and not home.job(job)["has_session"]
    names[f"{name}.example.test"] = [PUBLIC]
    until(lambda: standing(home, job) == "completed", worker.log)
    assert worker.stop()[0] == 0


def no_answer(world):
    """A look-up hangs for 30 s in a thread. The loop's own deadlines and a stop come long before."""
    names = world.resolver.names
    names["silent.example.test"] = [PUBLIC]
    home, job = named(world, "silent")
    names["silent.example.test"] = "timeout"
    worker = home.start_worker()
    worker.wait_for_log("silent.example.test: .*within the time", timeout_s=20)
    assert worker.stop()[0] == 0
    names["silent.example.test"] = [PUBLIC]
    home.ok("worker", "--drain")
    assert standing(home, job) == "completed"


def no_answer_beside_a_transfer(world):
    """What is under way goes on while a fresh connection has to wait for a name."""
    resolver, name = world.resolver, "busy.example.test"
    resolver.names[name] = [PUBLIC]
    home, big = named(world, "busy", "big.mp4", 9_000_000, chunk_mode="whole", limit_rate="1200K")
    world.log_in(home, "other")
    worker = home.start_worker()
    until(lambda: home.job(big)["finalizing"], worker.log)
    resolver.names[name] = "timeout"
    time.sleep(5.2)  # nobody remembers the address for longer
    asked = resolver.asked(name)
    late = home.ok("add", home.file("late.mp4", SIZE), "--channel", "other").line
    until(lambda: resolver.asked(name) > asked, worker.log)
    until(lambda: standing(home, big) == "completed", worker.log)  # long before the look-up ends
    resolver.names[name] = [PUBLIC]
    until(lambda: standing(home, late) == "completed", worker.log)
    assert worker.stop()[0] == 0


def dead_ipv6(world):
    """Happy eyeballs: an IPv6 address that swallows everything does not hold up the IPv4 address beside it."""
    world.resolver.names["eyes.example.test"] = ["2a00:1450::dead", PUBLIC]
    home, job = named(world, "eyes")
    home.ok("worker", "--drain")
    assert standing(home, job) == "completed"
    assert nft_count("dead six") > 0


def flapping(world):
    """The broker finds a good address, then the worker a dead one. What is dead is asked for anew soon."""
    world.resolver.names["flapping.example.test"] = [PUBLIC]
    home, job = named(world, "flapping")
    world.resolver.names["flapping.example.test"] = [[PUBLIC], ["45.45.45.46"], [PUBLIC]]
    world.resolver.forget("flapping.example.test")
    home.ok("worker", "--drain")
    assert standing(home, job) == "completed"
    assert nft_count("dead four") > 0


@in_own_network
def test_c11_names(authority, tmp_path):
    ip("-6 address add 2a00:1450::1/64 dev lo nodad")
    ip("address add 45.45.45.46/32 dev lo")
    nft('ip6 daddr 2a00:1450::dead counter drop comment "dead six"')
    nft('ip daddr 45.45.45.46 tcp dport != 53 counter reject with tcp reset comment "dead four"')
    with public_world(authority, "names", "DNS:*.example.test") as world, Wire(world.emulator, PUBLIC) as world.wire, \
            Resolver() as world.resolver:
        put_in_place("/etc/resolv.conf", f"nameserver {world.resolver.host}\noptions timeout:30 attempts:1\n", tmp_path)
        world.at_once(
            lambda: nowhere(world, "unknown", "nxdomain", "resolve"),
            lambda: nowhere(world, "failing", "servfail", "resolve"),
            lambda: nowhere(world, "private", ["10.1.2.3"], r"10\.1\.2\.3 is no public address: refused"),
            lambda: nowhere(world, "loop", ["127.0.0.1"], r"127\.0\.0\.1 is no public address: refused"),
            lambda: nowhere(world, "local6", ["fd00::1"], "fd00::1 is no public address: refused"),
            lambda: no_answer(world),
            lambda: no_answer_beside_a_transfer(world),
            lambda: dead_ipv6(world),
            lambda: flapping(world))


# ---- C12: the proxy


@in_own_network
def test_c12_a_proxy_that_fails(authority):
    """Nothing of a job is lost, nothing is sent, and it goes on when the proxy does."""
    with public_world(authority, "proxied", f"IP:{PUBLIC}") as world:

        def one(answer):
            with Proxy(world.emulator) as proxy:
                home = world.home(retry_tries=100, **QUICK)
                home.configure(api_root=f"https://{PUBLIC}:{world.emulator.port}", proxy=f"http://127.0.0.1:{proxy.port}",
                               limit_rate="4M")
                job, worker = begun(world, proxy, home)
                proxy.answer = answer
                proxy.cut()
                carried = proxy.carried_bytes
                worker.wait_for_log("retry .*connect failed")
                assert proxy.carried_bytes == carried and proxy.refused > 0
                proxy.answer = None
                assert_completes(world, home, job, worker)

        world.at_once(lambda: one("407 Proxy Authentication Required"), lambda: one("502 Bad Gateway"), lambda: one("hang"))
