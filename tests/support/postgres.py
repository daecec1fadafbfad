#!/usr/bin/python3
"""A throw-away PostgreSQL server for tests, and PgBouncer before it where asked for.

    with Cluster() as cluster:
        url = cluster.new_database()

    tests/support/postgres.py [--bouncer] [--durable] [--roles every|member] run COMMAND...

`run` starts a server unless $SLUICE_TEST_POSTGRES names the folder of one that runs, gives the command
STORE_TEST_URL (where the store is to be found), STORE_TEST_ADMIN_URL (the server itself, as a superuser) and
STORE_TEST_DATABASE (the name of a database that it may make; it is dropped), and ends with the command's exit code. `serve` starts one, prints its folder and runs until its standard input
ends.

Everything is in one new folder beneath $TMPDIR; the server listens on a socket in it and nowhere else. It never
runs as root: if root starts it, it runs as the user `postgres` or `nobody`.
"""

import argparse
import contextlib
import itertools
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

PORT = 5432  # only part of the socket's name
numbers = itertools.count(1)  # of the databases that this process has made


def find_bin():
    on_path = shutil.which("initdb")
    folders = [pathlib.Path(on_path).resolve().parent] if on_path else []
    folders += sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in folders:
        if (folder / "postgres").exists():
            return folder
    return None


def available():
    return find_bin() is not None


def server_user():
    """(uid, gid) of whom the server runs as; None: as whoever runs this."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            found = pwd.getpwnam(name)
            return found.pw_uid, found.pw_gid
    raise RuntimeError("there is no ordinary user to run PostgreSQL as")


def url(folder, database, port=PORT, **options):
    query = urllib.parse.urlencode({"host": str(folder), "port": port, "user": "postgres", **options})
    return f"postgresql:///{database}?{query}"


def database_of(url):
    return urllib.parse.urlsplit(url).path.strip("/")


def client(program, *args):
    """What psql, pg_dump and the like print."""
    return subprocess.run([str(find_bin() / program), *map(str, args)], check=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE).stdout


def psql(url, *args):
    """What it prints; raises RuntimeError with the server's words."""
    done = subprocess.run([str(find_bin() / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", *map(str, args), url],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        raise RuntimeError(f"psql: {said}")
    return said


def become(user):
    if user:
        os.setgroups([])
        os.setgid(user[1])
        os.setuid(user[0])


class Server:
    """One that runs, with its socket in that folder."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.user = server_user()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """It goes on: whoever started it ends it."""

    def run(self, program, *args, check=True):
        done = subprocess.run([str(find_bin() / program), *map(str, args)], preexec_fn=lambda: become(self.user),
                              cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        if check and done.returncode != 0:
            raise RuntimeError(f"{program}: {done.stdout.decode(errors='replace')}")
        return done

    def sql(self, text, database="postgres", user=None):
        """Runs it as a superuser, or as that user, and returns what psql prints, unaligned and without headings."""
        return psql(url(self.folder, database, user=user or "postgres"), "-A", "-t", "-c", text).strip()

    def new_database(self):
        """Other processes make theirs on the same server."""
        name = f"sluice_{os.getpid()}_{next(numbers)}"
        self.sql(f"create database {name}")
        return url(self.folder, name)


class Cluster(Server):
    """A server of its own. `durable`: with fsync, as in production; else as fast as it gets. `settings` go to postgresql.conf."""

    def __init__(self, durable=False, **settings):
        super().__init__(tempfile.mkdtemp(prefix="sluice-pg-"))
        self.data = self.folder / "data"
        self.log = self.folder / "log"
        self.closed = False
        self.folder.chmod(0o755)
        if self.user:
            os.chown(self.folder, *self.user)
        self.settings = {"listen_addresses": "''", "unix_socket_directories": f"'{self.folder}'", "port": PORT,
                         "logging_collector": "off", "max_connections": 60, "shared_buffers": "64MB",
                         "deadlock_timeout": "200ms",
                         **({} if durable else {"fsync": "off", "full_page_writes": "off"}), **settings}
        try:
            self._make()
            self.start()
        except BaseException:
            self.close()
            raise

    def _make(self):
        # Not the C locale: an order that only bytes have must be asked for.
        self.run("initdb", "-D", self.data, "-U", "postgres", "-N", "-A", "trust", "-E", "UTF8", "--no-instructions",
                 "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US")
        self.configure()

    def configure(self, **settings):
        self.settings.update(settings)
        lines = "".join(f"{key} = {value}\n" for key, value in self.settings.items())
        (self.data / "postgresql.auto.conf").write_text(lines)

    def start(self):
        log = self.log.open("ab")
        self.process = subprocess.Popen([str(find_bin() / "postgres"), "-D", str(self.data)], cwd=self.folder,
                                        preexec_fn=lambda: become(self.user), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        give_up = time.monotonic() + 30
        while not (self.data / "postmaster.pid").exists() or "ready" not in self._pid_file():
            if self.process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(f"PostgreSQL does not start: {self.log.read_text(errors='replace')}")
            time.sleep(0.01)

    def _pid_file(self):
        with contextlib.suppress(OSError):
            return (self.data / "postmaster.pid").read_text()
        return ""

    def stop(self, mode="immediate"):
        """`immediate`: as if the machine had died; `fast`: orderly."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT if mode == "immediate" else signal.SIGINT)
            self.process.wait(30)

    def keep(self):
        """What a replica has that gets nothing from now on; the server is away for a moment."""
        self.stop()
        subprocess.run(["cp", "-a", str(self.data), str(self.folder / "replica")], check=True)
        self.start()

    def fail_over(self):
        """To that replica: all that was committed since is lost."""
        self.stop()
        shutil.rmtree(self.data)
        (self.folder / "replica").rename(self.data)
        self.start()

    def close(self):
        self.closed = True
        if getattr(self, "process", None):
            self.stop()
        if (self.folder / "small").is_mount():
            subprocess.run(["umount", str(self.folder / "small")], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


def shared():
    """The server that $SLUICE_TEST_POSTGRES names the folder of, or a new one. Nobody may stop it or set it up anew."""
    folder = os.environ.get("SLUICE_TEST_POSTGRES")
    return Server(folder) if folder else Cluster()


class Apart:
    """A database whose tenants are kept apart as docs/tenants.md says. Its tables belong to the login `owner`; `init`
    makes them (it runs `sluice init` with that URL); then come the groups, and logins by `login`."""

    def __init__(self, cluster, init):
        self.cluster = cluster
        self.name = database_of(cluster.new_database())
        self.prefix = self.name + "_"  # logins belong to the server, not to the database
        owner = self.prefix + "owner"
        self.sql(f"create role {owner} login; create schema sluice authorization {owner};"
                 f" alter role {owner} in database {self.name} set search_path = sluice")
        init(self.url("owner"))
        self.script("roles.sql")

    def url(self, login):
        return url(self.cluster.folder, self.name, user=self.prefix + login)

    @property
    def whole(self):
        """For who must see everything."""
        return url(self.cluster.folder, self.name, options="-csearch_path=sluice")

    def sql(self, text, login=None):
        """As a superuser, or as that login; raises RuntimeError with the server's words."""
        return self.cluster.sql(f"set search_path = sluice; {text}", self.name, self.prefix + login if login else None)

    def script(self, name, *runs):
        """Runs it once with each of these sets of variables; without any, once."""
        path = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "postgres" / name
        steps = []
        for variables in runs or ({},):
            for key, value in variables.items():
                steps += ["-c", f"\\set {key} {value}"]
            steps += ["-f", path]
        psql(url(self.cluster.folder, self.name), *steps)

    def login(self, name, kind, tenants):
        """A login of that kind for those tenants ("a,b", "*"); returns its URL."""
        self.logins((name, kind, tenants))
        return self.url(name)

    def logins(self, *wanted):
        """Many at once."""
        self.script("login.sql", *({"login": self.prefix + name, "kind": kind, "tenants": tenants}
                                   for name, kind, tenants in wanted))


def start_bouncer(folder):
    """PgBouncer in transaction mode before the server in that folder: (process, port). Each transaction of a client gets
    the server connection that was unused for longest, so what depends on the session's state fails."""
    port = 6432
    config = folder / f"bouncer-{os.getpid()}.ini"
    home = pathlib.Path(tempfile.mkdtemp(prefix="bouncer-", dir=folder))
    home.chmod(0o777)
    config.write_text(
        f"[databases]\n* = host={folder} port={PORT} user=postgres\n[pgbouncer]\nlisten_addr =\nlisten_port = {port}\n"
        f"unix_socket_dir = {home}\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 4\n"
        "server_round_robin = 1\nmin_pool_size = 2\nserver_reset_query =\nlogfile = \nmax_client_conn = 100\n")
    config.chmod(0o644)
    user = server_user()
    program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
    process = subprocess.Popen([program, "-q", str(config)], preexec_fn=lambda: become(user), stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=(home / "log").open("wb"))
    give_up = time.monotonic() + 10
    while not (home / f".s.PGSQL.{port}").exists():
        if process.poll() is not None or time.monotonic() > give_up:
            raise RuntimeError(f"PgBouncer does not start: {(home / 'log').read_text(errors='replace')}")
        time.sleep(0.01)
    return process, home, port


def keep_running(cluster):
    """Starts the server again whenever it has ended, as an init would."""
    while not cluster.closed:
        cluster.process.wait()
        time.sleep(0.3)
        if not cluster.closed:
            cluster.start()


def add_small_disk(cluster):
    small = cluster.folder / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(small)], check=True)
    os.chown(small, *cluster.user)
    cluster.sql(f"create tablespace small location '{small}'")


# ---- commands

def run(folder, options):
    database = f"test_{os.getpid()}"
    env = dict(os.environ, STORE_TEST_ADMIN_URL=url(folder, "{database}"), STORE_TEST_URL=url(folder, "{database}"),
               STORE_TEST_DATABASE=database)
    if options.roles:
        env["STORE_TEST_ROLES"] = options.roles
        env["STORE_TEST_URL"] = url(folder, "{database}", user=f"sluice_test_{options.roles}")
    bouncer = None
    if options.bouncer:
        bouncer, home, port = start_bouncer(folder)
        env["STORE_TEST_URL"] = url(home, "{database}", port)
        env["STORE_TEST_BOUNCER"] = "yes"
    try:
        return subprocess.run(options.command, env=env).returncode
    finally:
        if bouncer:
            bouncer.kill()
            bouncer.wait()
        if not options.own:
            client("psql", "-X", "-q", "-d", url(folder, "postgres"), "-c", f"drop database if exists {database} (force)")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "serve"])
    parser.add_argument("--bouncer", action="store_true", help="PgBouncer in between, in transaction mode")
    parser.add_argument("--roles", choices=["every", "member"],
                        help="the command's stores are used by a login with all groups of deploy/postgres/roles.sql, "
                             "for every tenant or for those that it was admitted to")
    parser.add_argument("--durable", action="store_true", help="with fsync")
    parser.add_argument("--own", action="store_true", help="a server that the command may end: it is started again")
    parser.add_argument("--small-disk", action="store_true",
                        help="and the tablespace `small`, 24 MB, in a mount namespace of its own (as root only)")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    shared = os.environ.get("SLUICE_TEST_POSTGRES")
    if options.what == "run" and shared and not options.durable and not options.own:
        return run(pathlib.Path(shared), options)
    if options.small_disk and os.geteuid() == 0 and not os.environ.get("SLUICE_TEST_UNSHARED"):
        os.environ["SLUICE_TEST_UNSHARED"] = "1"
        os.execvp("unshare", ["unshare", "-m", sys.executable, *sys.argv])
    with Cluster(options.durable, **({"max_connections": 200} if options.what == "serve" else {})) as cluster:
        if options.small_disk and os.geteuid() == 0:
            add_small_disk(cluster)
        if options.own:
            threading.Thread(target=keep_running, args=(cluster,), daemon=True).start()
        if options.what == "run":
            return run(cluster.folder, options)
        print(cluster.folder, flush=True)
        sys.stdin.read()
        return 0


if __name__ == "__main__":
    sys.exit(main())
