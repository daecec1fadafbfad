"""Tenants that the database keeps apart (docs/tenants.md): the whole system under logins of their own, what each login
can do when it is stolen, and that nothing runs where the isolation does not hold."""

import pathlib
import re
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import postgres  # noqa: E402
from job_fixtures import *  # noqa: E402, F403
from job_fixtures import SETTINGS  # noqa: E402
from sluice import Sluice, until  # noqa: E402

pytestmark = pytest.mark.skipif(not postgres.available(), reason="PostgreSQL is not there")


class Site:
    """A database with the tenants a and b, an operator for both, and homes for each one's worker."""

    def __init__(self, world, cluster):
        self.world = world
        self.office = Sluice(world.emulator, **SETTINGS)
        self.office.channels = {}
        self.office.configure(key_file=self.office.key_file)
        world.homes.append(self.office)
        self.database = postgres.Apart(cluster, lambda url: self.office.ok("init", "--store", url))
        self.office.whole_store = self.database.whole
        kinds = ("worker", "broker", "reader", "adder", "operator")
        self.database.logins(*((f"{tenant}_{kind}", kind, tenant) for tenant in "ab" for kind in kinds),
                             ("boss", "operator", "*"), ("boss_broker", "broker", "*"))
        self.office.configure(store=self.database.url("boss"), broker_store=self.database.url("boss_broker"))
        self.homes = []  # what the office's commands show of their work is judged

    def set_up(self):
        for tenant in "ab":
            self.office.configure(tenant=tenant)
            self.office.ok("client", "import", self.world.emulator.client_secret)
            self.world.log_in(self.office, "main")
            self.office.channels[tenant] = self.office.channels.pop("main")
        self.office.configure(tenant=None)
        return self

    def home(self, tenant, **settings):
        """Where that tenant's worker runs: with its own two logins."""
        home = Sluice(self.world.emulator, **{**SETTINGS, "key_file": self.office.key_file,
                                              "media_root": self.office.media, "tenants": tenant,
                                              "store": self.database.url(f"{tenant}_worker"),
                                              "broker_store": self.database.url(f"{tenant}_broker"), **settings})
        self.homes.append(home)
        return home

    def add(self, tenant, name, size=SIZE):
        return self.office.ok("add", self.office.file(name, size), "--channel", "main", "--tenant", tenant).line

    def standing(self, job):
        return standing(self.office, job)


@pytest.fixture
def site(world, cluster):
    site = Site(world, cluster).set_up()
    yield site
    for home in site.homes:
        home.close()


# ---- the whole system


def test_two_tenants_with_workers_and_brokers_of_their_own(site, world):
    jobs = {tenant: [site.add(tenant, f"{tenant}{number}.mp4", 300_000 + number) for number in range(4)]
            for tenant in "ab"}
    workers = [site.home(tenant).start_worker("--drain", "--drain-wait", "5s") for tenant in "ab"]
    assert [worker.wait() for worker in workers] == [0, 0], [worker.log() for worker in workers]
    for tenant in "ab":
        assert [site.standing(job) for job in jobs[tenant]] == ["completed"] * 4
    assert len(world.emulator.videos()) == 8
    names = {tenant: re.search(r"worker=(\S+)", worker.log()).group(1) for tenant, worker in zip("ab", workers)}
    for event in site.office.audit():
        if event["what"] == "claimed":
            assert event["who"] == names[event["tenant"]], event
    other = {"a": "b", "b": "a"}
    for tenant, worker in zip("ab", workers):
        assert not [job for job in jobs[other[tenant]] if job in worker.log()]


def test_a_worker_takes_nothing_of_another_tenant(site):
    job = site.add("b", "b.mp4")
    site.home("a").ok("worker", "--drain", "--drain-wait", "1s")
    assert site.standing(job) == "queued"
    # ... nor where it is not told its tenants: its login does not reach others
    site.home("a", tenants=None).ok("worker", "--drain", "--drain-wait", "1s")
    assert site.standing(job) == "queued"


def test_operators_commands(site):
    office = site.office
    job = site.add("a", "clip.mp4", 300_000)
    office.ok("job", "cancel", job)
    office.ok("job", "retry", job)
    office.ok("channel", "pause", "main", "--tenant", "a")
    office.ok("channel", "resume", "main", "--tenant", "a")
    office.ok("channel", "limits", "main", "--uploads", "50", "--tenant", "a")
    office.ok("client", "limits", "default", "--uploads", "90", "--tenant", "a")
    office.ok("status")
    office.ok("upload", office.file("now.mp4", 300_000), "--channel", "main", "--tenant", "b")
    office.ok("worker", "--drain")
    assert site.standing(job) == "completed"
    office.ok("channel", "remove", "main", "--tenant", "a")
    office.ok("client", "remove", "default", "--tenant", "a")
    checks = [item for item in office.ok("check", "--json").objects if item["check"] in ("isolation", "key")]
    assert [item["status"] for item in checks] == ["ok", "ok"], checks
    office.ok("audit")


def test_an_operator_of_one_tenant(site):
    site.add("b", "b.mp4")
    job = site.add("a", "a.mp4")
    home = site.home("a", store=site.database.url("a_operator"))
    assert [found["id"] for found in home.jobs()] == [job]
    assert {event["tenant"] for event in home.audit()} == {"a"}
    assert {channel["tenant"] for channel in home.ok("channel", "list", "--json").objects} == {"a"}
    assert home.fails(4, "add", site.office.media / "a.mp4", "--channel", "main", "--tenant", "b").err
    assert home.fails(4, "channel", "pause", "main", "--tenant", "b").err
    # A tenant that is not its own does not exist for it, and it cannot make one.
    home.fails(8, "client", "import", site.world.emulator.client_secret, "--tenant", "b")


def test_a_service_adds_for_its_tenant_alone(site):
    add = "select sluice_add('main', 'clip.mp4', 300000, '{\"snippet\": {\"title\": \"x\"}}', tenant => '%s')"
    job = site.database.sql(add % "a", "a_adder")
    assert site.office.job(job)["tenant"] == "a"
    with pytest.raises(RuntimeError, match="tenant b has no channel main"):
        site.database.sql(add % "b", "a_adder")


# ---- what a stolen login can do

TABLES = "select c.relname from pg_class c where relnamespace = 'sluice'::regnamespace and relkind in ('r', 'p')"
VIEWS = "select c.relname from pg_class c where relnamespace = 'sluice'::regnamespace and relkind in ('v', 'm')"
SHARED = {"worker", "schema_version", "job_move", "event_removal", "root_key", "key_rotation"}  # have no tenant
KINDS = ["worker", "broker", "operator", "reader", "adder"]


def columns(database, table, login, privilege):
    return database.sql(
        f"select a.attname from pg_attribute a where a.attrelid = 'sluice.{table}'::regclass and a.attnum > 0"
        f" and not a.attisdropped and has_column_privilege('{database.prefix}{login}', a.attrelid, a.attnum,"
        f" '{privilege}') order by a.attnum").split()


def fill(site):
    """Rows of both tenants in every table."""
    for tenant in "ab":
        site.add(tenant, f"{tenant}.mp4")
    site.database.sql(
        "insert into chunk select id, 0, tenant_id, 1000, 'x' from job;"
        "insert into quota select client_id, id, 'uploads', 5, tenant_id, 1, 1 from channel;"
        "insert into watch select id, 0, now_ms() from tenant on conflict do nothing;"
        "insert into tally select tenant_id, 'refusals', id, 0, 0, 1, 0, 0 from channel;"
        "insert into alarm (tenant_id, channel_id, client_id, signal, severity, count, since_ms, last_at_ms, message,"
        " reaction) select tenant_id, id, 0, 'refusals', 'warning', 1, 0, 0, '', '' from channel;"
        "insert into video_look select id, tenant_id, 0, 0 from channel;"
        "insert into foreign_video select id, tenant_id, 'x', 0, 0 from channel")


def has_tenant(database, table):
    return table == "tenant" or "tenant_id" in database.sql(
        f"select string_agg(attname, ' ') from pg_attribute where attrelid = 'sluice.{table}'::regclass").split()


@pytest.mark.parametrize("kind", KINDS)
def test_a_login_sees_no_row_of_another_tenant(site, kind):
    fill(site)
    database, login = site.database, f"a_{kind}"
    number = database.sql("select id from tenant where name = 'b'")
    seen = set()
    for table in database.sql(TABLES).split():
        if table in SHARED:
            assert not has_tenant(database, table)
            continue
        own = "id" if table == "tenant" else "tenant_id"
        assert int(database.sql(f"select count(*) from {table} where {own} = {number}")) > 0, f"{table} has no row of b"
        readable = columns(database, table, login, "select")
        if own in readable:
            assert database.sql(f"select count(*) from {table} where {own} = {number}", login) == "0", table
            seen.add(table)
        elif readable:
            everything = int(database.sql(f"select count({readable[0]}) from {table}"))
            assert int(database.sql(f"select count({readable[0]}) from {table}", login)) < everything, table
    assert seen or kind in ("reader", "adder")
    for view in database.sql(VIEWS).split():
        if not columns(database, view, login, "select"):
            continue
        if view == "sluice_backlog":
            assert database.sql("select runnable + blocked from sluice_backlog", login) == "1"
        else:
            assert database.sql(f"select distinct tenant from {view}", login) == "a", view


@pytest.mark.parametrize("kind", KINDS)
def test_a_login_changes_no_row_of_another_tenant(site, kind):
    fill(site)
    database, login = site.database, f"a_{kind}"
    before = {table: database.sql(f"select md5(string_agg(t::text, ',' order by t::text)) from {table} t")
              for table in database.sql(TABLES).split()}
    number = database.sql("select id from tenant where name = 'b'")
    for table in set(before) - SHARED:
        own = "id" if table == "tenant" else "tenant_id"
        for column in columns(database, table, login, "update"):
            assert affected(database, f"update {table} set {column} = null where {own} = {number}", login) == 0, table
        if database.sql(f"select has_table_privilege('{database.prefix}{login}', '{table}', 'delete')") == "t":
            assert affected(database, f"delete from {table} where {own} = {number}", login) == 0, table
        if columns(database, table, login, "insert"):
            with pytest.raises(RuntimeError, match="row-level security"):
                insert_copy(database, table, login, f"{own} = {number}")
    after = {table: database.sql(f"select md5(string_agg(t::text, ',' order by t::text)) from {table} t")
             for table in before}
    assert before == after


def affected(database, statement, login):
    return int(database.sql(f"with hit as ({statement} returning 1) select count(*) from hit", login))


def insert_copy(database, table, login, condition):
    """The login inserts rows as another tenant has them."""
    names = ", ".join(columns(database, table, login, "insert"))
    database.sql(f"begin; create temp table copy on commit drop as select {names} from {table} where {condition};"
                 f" grant select on copy to {database.prefix}{login}; set session authorization"
                 f" {database.prefix}{login}; insert into {table} ({names}) select {names} from copy; rollback")


def test_what_each_login_may_do_at_all(site):
    """No more than docs/tenants.md says."""
    def may(kind, privilege, table, column=None):
        name = f"{site.database.prefix}a_{kind}"
        if column:
            return site.database.sql(f"select has_column_privilege('{name}', '{table}', '{column}', '{privilege}')") == "t"
        return site.database.sql(f"select has_table_privilege('{name}', '{table}', '{privilege}')"
                                 f" or has_any_column_privilege('{name}', '{table}', case '{privilege}' when 'delete'"
                                 f" then 'references' when 'truncate' then 'references' else '{privilege}' end)") == "t"

    for kind in KINDS:
        for table, column in (("token", "sealed"), ("token", "access_sealed"), ("client", "secret_sealed"),
                              ("tenant_key", "wrapped")):
            assert may(kind, "select", table, column) == (kind == "broker"), (kind, table, column)
        for table in ("tenant_key", "root_key", "key_rotation"):
            for privilege in ("select", "insert", "update", "delete"):
                assert kind == "broker" or not may(kind, privilege, table), (kind, privilege, table)
        assert may(kind, "update", "client", "token_uri") == (kind == "broker")
        for privilege in ("update", "delete", "truncate"):
            assert not may(kind, privilege, "event")
        assert may(kind, "update", "alarm", "closed_at_ms") == (kind in ("operator", "broker"))
        assert not may(kind, "delete", "alarm") and may(kind, "select", "event", "message") == (kind == "operator")
        for privilege in ("select", "insert", "update", "delete", "truncate"):
            assert not may(kind, privilege, "tenant_member")
        with pytest.raises(RuntimeError, match="permission denied"):
            site.database.sql("create table mine (x int)", f"a_{kind}")
        with pytest.raises(RuntimeError, match="permission denied"):
            site.database.sql("select sluice_admit(session_user, 'b')", f"a_{kind}")
    tables = site.database.sql(TABLES).split()
    for kind in ("reader", "adder"):
        assert not [table for table in tables if columns(site.database, table, f"a_{kind}", "select")]
    owners = site.database.sql("select distinct pg_get_userbyid(relowner) from pg_class"
                               " where relnamespace = 'sluice'::regnamespace")
    assert owners == site.database.prefix + "owner"


def test_a_broker_closes_no_alarm_of_misuse(site):
    fill(site)
    database = site.database
    database.sql("insert into alarm (tenant_id, channel_id, client_id, signal, severity, count, since_ms, last_at_ms,"
                 " message, reaction) select tenant_id, id, 0, 'channel_stopped', 'warning', 1, 0, 0, '', '' from channel")
    for signal, closed in (("refusals", 0), ("channel_stopped", 1)):
        assert affected(database, f"update alarm set closed_at_ms = 1 where signal = '{signal}'", "a_broker") == closed


@pytest.mark.parametrize("setting", ["set role {0}a_broker", "set session authorization {0}b_worker",
                                     "set role sluice_every", "set row_security = off; select count(*) from job",
                                     "alter role {0}a_worker bypassrls", "grant sluice_every to {0}a_worker"])
def test_a_login_cannot_become_another(site, setting):
    with pytest.raises(RuntimeError):
        site.database.sql(setting.format(site.database.prefix), "a_worker")


# ---- nothing runs where it does not hold

BROKEN = [
    ("alter role {a} superuser", "alter role {a} nosuperuser", "is a superuser"),
    ("alter role {a} bypassrls", "alter role {a} nobypassrls", "BYPASSRLS"),
    ("alter role {a} createrole", "alter role {a} nocreaterole", "may make roles"),
    ("grant {p}owner to {a}", "revoke {p}owner from {a}", r"owns the tables \(.*job"),
    ("grant create on schema sluice to {a}", "revoke create on schema sluice from {a}", "may make tables"),
    ("alter table job no force row level security", None, "not enabled and forced on: job"),
    ("alter table upload disable row level security", None, "not enabled and forced on: upload"),
    ("create policy leak on job using (true)", None, "policies that are not sluice's.*job.leak"),
    ("grant delete on event to sluice_worker", None, "may delete lines of the audit trail"),
    ("grant insert on tenant_member to sluice_worker", None, "may insert rows of tenant_member"),
    ("grant select on token to sluice_worker", None, "may read secrets: token.access_sealed, token.sealed"),
    ("grant select (secret_sealed) on client to sluice_worker", None, "may read secrets: client.secret_sealed"),
    ("grant select (wrapped) on tenant_key to sluice_worker", None, "may read secrets: tenant_key.wrapped"),
    ("grant update (token_uri) on client to sluice_worker", None, "where refresh tokens are sent"),
    ("delete from tenant_member where role = '{a}'", "select sluice_admit('{a}', 'a')", "does not reach the tenant a"),
    ("select sluice_admit('{a}', 'b')", "select sluice_dismiss('{a}', 'b')", "reaches the tenant b, too"),
    ("grant sluice_every to {a}", "revoke sluice_every from {a}", "reaches the tenant b, too"),
    ("alter role {p}a_broker bypassrls", "alter role {p}a_broker nobypassrls", "by `broker_store`.*BYPASSRLS"),
    ("revoke select on token from sluice_broker", None, "may not read what a broker needs: token.access_sealed, token.sealed"),
]


def test_no_worker_starts_where_tenants_are_not_kept_apart(site):
    home = site.home("a")
    names = {"a": f"{site.database.prefix}a_worker", "p": site.database.prefix}
    for wrong, mend, words in BROKEN:
        site.database.sql(wrong.format(**names))
        said = home.fails(5, "worker", "--drain").err
        assert re.search(words, said), (wrong, said)
        checked = [item for item in home.run("check", "--json").objects if item["check"] == "isolation"]
        assert any(item["status"] == "FAIL" and item["mend"] for item in checked), (wrong, checked)
        if mend:
            site.database.sql(mend.format(**names))
        else:
            site.database.script("roles.sql")
        home.ok("worker", "--drain")


def test_whether_it_is_asked_for(site, cluster):
    owner = site.database.url("owner")
    alone = site.home("a", store=owner, broker_store=None, tenants=None)
    alone.ok("worker", "--drain", "--drain-wait", "1s")  # one login for all: nobody asks
    alone.configure(isolation="strict")
    assert "owns the tables" in alone.fails(5, "worker", "--drain").err
    alone.configure(isolation=None, tenants="a")
    assert "owns the tables" in alone.fails(5, "worker", "--drain").err
    alone.configure(isolation="off")
    alone.ok("worker", "--drain", "--drain-wait", "1s")
    with Sluice(site.world.emulator, isolation="strict") as embedded:
        embedded.ok("init")
        assert "SQLite keeps no login" in embedded.fails(5, "worker", "--drain").err


# ---- what a broker does for a worker that has been told its tenants, in any store


def test_the_broker_serves_its_workers_tenants_alone(world):
    """SQLite: nothing but the broker stands between a worker and another tenant's token."""
    home = world.home(tenants="default")
    home.ok("client", "import", world.emulator.client_secret, "--tenant", "other")
    home.channels["theirs"] = world.new_channel()
    with world.consent:
        home.login("theirs", home.channels["theirs"], "--tenant", "other")
    job = home.ok("add", home.file("clip.mp4", SIZE), "--channel", "theirs", "--tenant", "other").line
    home.ok("worker", "--drain", "--drain-wait", "1s")
    assert home.job(job)["state"] == "queued"
