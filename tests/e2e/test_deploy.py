"""The files of deploy/ against each other and against the program: what names what must be there.

Kubernetes' manifests are rendered by a small stand-in for kustomize, and by kubectl itself where that is installed.
"""

import copy
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import postgres  # noqa: E402
from sluice import ROOT, Sluice, program  # noqa: E402

yaml = pytest.importorskip("yaml")

DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
OVERLAYS = sorted(path.name for path in (KUBERNETES / "overlays").iterdir())
DRAIN_S = 10  # X03
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()


def say(*args):
    return subprocess.run([program(), *args], capture_output=True, text=True, check=True).stdout


def listed(text, pattern):
    return set(re.findall(pattern, text, re.M))


@pytest.fixture(scope="module")
def worker_flags():
    return listed(say("worker", "--help"), r"^  (--[a-z-]+)")


@pytest.fixture(scope="module")
def keys():
    return {"SLUICE_" + name.upper() for name in listed(say("reference", "keys"), r"^### `(\w+)`")}


# ---- the Containerfile

def containerfile():
    text = re.sub(r"\\\n\s*", " ", (DEPLOY / "Containerfile").read_text())
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line and not line.startswith("#")]


def last_stage(word):
    steps = containerfile()
    begin = max(number for number, step in enumerate(steps) if step[0] == "FROM")
    return [rest for name, rest in steps[begin:] if name == word]


def test_the_image_copies_what_is_there():
    for word, rest in containerfile():
        if word == "COPY" and not rest.startswith("--from="):
            assert (ROOT / rest.split()[0]).exists(), rest


@pytest.mark.skipif("ASAN_OPTIONS" in os.environ, reason="the program of the image has no sanitizers")
def test_the_image_has_the_libraries_that_the_program_needs_and_no_others():
    needed = set()
    dynamic = subprocess.run(["objdump", "-p", program()], capture_output=True, text=True, check=True).stdout
    linked = subprocess.run(["ldd", program()], capture_output=True, text=True, check=True).stdout
    for name in re.findall(r"NEEDED\s+(\S+)", dynamic):
        path = re.search(rf"{re.escape(name)} => (\S+)", linked)
        if path and not re.match(r"lib(c|m|asan|ubsan|gcc_s|stdc\+\+|rt|dl|pthread|resolv)\.", name):
            real = pathlib.Path(path[1]).resolve()
            owner = subprocess.run(["dpkg-query", "-S", f"*/{real.name}"], capture_output=True, text=True, check=True)
            needed.add(owner.stdout.split(":")[0])
    install = next(rest for rest in last_stage("RUN") if "apt-get install" in rest)
    installed = set(re.search(r"--no-install-recommends ([^&]+)", install)[1].split())
    assert installed == needed | {"ca-certificates"}


def test_the_image_is_for_a_user_without_rights():
    user, = last_stage("USER")
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    assert json.loads(last_stage("ENTRYPOINT")[0]) == ["/usr/bin/sluice"]  # no shell
    assert last_stage("STOPSIGNAL") == ["SIGTERM"]


def test_what_is_built_is_not_kept_out_of_the_build():
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    subdirs = listed((ROOT / "meson.build").read_text(), r"^\s*subdir\('([^']+)'\)")
    assert not {subdir.split("/")[0] for subdir in subdirs} & set(ignored)


# ---- a stand-in for kustomize

def documents(path):
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def apply_patch(document, operations):
    for operation in operations:
        assert operation["op"] == "replace", operation
        *way, last = [int(part) if part.isdigit() else part for part in operation["path"].split("/")[1:]]
        place = document
        for part in way:
            place = place[part]
        assert (last in place) if isinstance(place, dict) else last < len(place), operation
        place[last] = operation["value"]


def rendered_base():
    folder = KUBERNETES / "base"
    kustomization = documents(folder / "kustomization.yaml")[0]
    assert sorted(kustomization["resources"]) == sorted(
        path.name for path in folder.iterdir() if path.name != "kustomization.yaml")
    found = [document for name in kustomization["resources"] for document in documents(folder / name)]
    for generator in kustomization["configMapGenerator"]:
        data = dict(literal.split("=", 1) for literal in generator["literals"])
        found.append({"kind": "ConfigMap", "metadata": {"name": generator["name"]}, "data": data})
    return found, kustomization


def rendered(overlay):
    """Every document of an overlay."""
    found, base = copy.deepcopy(rendered_base())
    kustomization = documents(KUBERNETES / "overlays" / overlay / "kustomization.yaml")[0]
    assert kustomization["resources"] == ["../../base"]
    for generator in kustomization["configMapGenerator"]:
        assert generator["behavior"] == "merge"
        config_map = one(found, "ConfigMap", generator["name"])
        config_map["data"].update(literal.split("=", 1) for literal in generator["literals"])
    for patch in kustomization["patches"]:
        apply_patch(one(found, patch["target"]["kind"], patch["target"]["name"]), yaml.safe_load(patch["patch"]))
    for image in base["images"]:
        for container in containers(found):
            if container["image"] == image["name"]:
                container["image"] += ":" + image["newTag"]
    for document in found:
        document["metadata"]["namespace"] = kustomization["namespace"]
    return found


def rendered_by_kubectl(overlay):
    done = subprocess.run(["kubectl", "kustomize", str(KUBERNETES / "overlays" / overlay)], capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def one(found, kind, name=None):
    matching = [document for document in found
                if document["kind"] == kind and name in (None, document["metadata"]["name"])]
    assert len(matching) == 1, (kind, name, len(matching))
    return matching[0]


def containers(found):
    return [container for document in found if document["kind"] in ("Deployment", "Job")
            for container in document["spec"]["template"]["spec"]["containers"]]


def has_kubectl():
    return shutil.which("kubectl") and subprocess.run(["kubectl", "kustomize", "--help"], capture_output=True).returncode == 0


RENDERERS = [rendered, pytest.param(rendered_by_kubectl, marks=pytest.mark.skipif(
    not has_kubectl(), reason="kubectl is not installed"))]


@pytest.fixture(params=RENDERERS)
def renderer(request):
    return request.param


@pytest.fixture(params=OVERLAYS)
def overlay(request):
    return request.param


@pytest.fixture
def manifests(renderer, overlay):
    return renderer(overlay)


@pytest.fixture
def pod(manifests):
    return one(manifests, "Deployment")["spec"]["template"]["spec"]


@pytest.fixture
def container(pod):
    found, = pod["containers"]
    return found


# ---- Kubernetes' manifests

def migrate_job():
    return documents(KUBERNETES / "migrate" / "job.yaml")[0]


def secret_keys(document):
    """(secret, key) wherever a document names one."""
    found = set()
    for reference in find(document, "secretKeyRef"):
        found.add((reference["name"], reference["key"]))
    for secret in find(document, "secret"):
        found |= {(secret["secretName"], item["key"]) for item in secret["items"]}
    for references in find(document, "secretTargetRef"):
        found |= {(reference["name"], reference["key"]) for reference in references}
    return found


def find(document, name):
    if isinstance(document, dict):
        for key, value in document.items():
            if key == name:
                yield value
            yield from find(value, name)
    elif isinstance(document, list):
        for value in document:
            yield from find(value, name)


def environment(container):
    return {entry["name"]: entry for entry in container["env"]}


def test_every_document_is_in_the_overlays_namespace(manifests, overlay):
    assert {document["metadata"].get("namespace") for document in manifests} == {f"sluice-{overlay}"}


def test_what_is_referred_to_is_there(manifests, pod, container):
    scaled = one(manifests, "ScaledObject")["spec"]
    one(manifests, "Deployment", scaled["scaleTargetRef"]["name"])
    for trigger in scaled["triggers"]:
        one(manifests, "TriggerAuthentication", trigger["authenticationRef"]["name"])
    one(manifests, "ServiceAccount", pod["serviceAccountName"])
    for reference in find(pod, "configMapKeyRef"):
        assert reference["key"] in one(manifests, "ConfigMap", reference["name"])["data"]
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}


def test_selectors_match_the_pods_labels(manifests):
    deployment = one(manifests, "Deployment")["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    selectors = [deployment["selector"], one(manifests, "PodDisruptionBudget")["spec"]["selector"],
                 one(manifests, "NetworkPolicy")["spec"]["podSelector"],
                 *(spread["labelSelector"] for spread in deployment["template"]["spec"]["topologySpreadConstraints"])]
    for selector in selectors:
        assert selector["matchLabels"] and selector["matchLabels"].items() <= labels.items()
    assert not selectors[0]["matchLabels"].items() <= migrate_job()["spec"]["template"]["metadata"]["labels"].items()


def test_flags_and_keys_exist(container, worker_flags, keys):
    command, *rest = container["args"]
    assert command == "worker"
    assert {word for word in rest if word.startswith("--")} <= worker_flags
    assert {name for name in environment(container) if name.startswith("SLUICE_")} <= keys
    migrate, = migrate_job()["spec"]["template"]["spec"]["containers"]
    assert migrate["args"] == ["init"] and set(environment(migrate)) <= keys


def test_secrets_are_referred_to_and_the_manual_names_them(manifests):
    wanted = set().union(*map(secret_keys, manifests)) | secret_keys(migrate_job())
    rows = re.findall(r"^\| (`[\w-]+`)? ?\| (?:Secret)? ?\| `([\w.-]+)`", OPERATIONS, re.M)
    named, secret = set(), None
    for name, key in rows:
        secret = name.strip("`") or secret
        named.add((secret, key))
    assert wanted == named
    assert not [document for document in manifests if document["kind"] == "Secret"]
    claim, = find(manifests, "persistentVolumeClaim")
    assert f"`{claim['claimName']}`" in OPERATIONS


def test_paths_in_the_environment_are_mounted(container):
    mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
    values = {name: entry.get("value") for name, entry in environment(container).items()}
    assert str(pathlib.Path(values["SLUICE_KEY_FILE"]).parent) in mounts
    assert values["SLUICE_MEDIA_ROOT"] in mounts
    assert all(mount["readOnly"] for mount in container["volumeMounts"] if mount["name"] != "tmp")


def test_ports_are_the_same_everywhere(manifests, container):
    port, = container["ports"]
    listen = container["args"][container["args"].index("--listen") + 1]
    annotations = one(manifests, "Deployment")["spec"]["template"]["metadata"]["annotations"]
    ingress, = one(manifests, "NetworkPolicy")["spec"]["ingress"]
    number = port["containerPort"]
    assert listen == f"0.0.0.0:{number}"
    assert annotations["prometheus.io/port"] == str(number) and annotations["prometheus.io/path"] == "/metrics"
    assert [rule["port"] for rule in ingress["ports"]] == [number]
    assert last_stage("EXPOSE") == [str(number)]
    for probe, path in (("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
        assert container[probe]["httpGet"] == {"path": path, "port": port["name"]}


def test_x03_there_is_time_for_a_drain(pod):
    assert pod["terminationGracePeriodSeconds"] > DRAIN_S


def test_pods_have_no_rights(pod, container):
    user, group = map(int, last_stage("USER")[0].split(":"))
    for spec in (pod, migrate_job()["spec"]["template"]["spec"]):
        assert spec["automountServiceAccountToken"] is False
        context = spec["securityContext"]
        assert context["runAsNonRoot"] is True and (context["runAsUser"], context["runAsGroup"]) == (user, group)
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        for inner in spec["containers"]:
            assert inner["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                                "capabilities": {"drop": ["ALL"]}}
            assert inner["resources"]["limits"]["memory"] and inner["resources"]["requests"]["cpu"]
    for volume in pod["volumes"]:
        assert volume.get("secret", {}).get("defaultMode", 0o400) == 0o400


def test_the_image_is_this_version(container):
    assert container["image"] == "sluice:" + say("version").split()[1]
    kustomization = documents(KUBERNETES / "migrate" / "kustomization.yaml")[0]
    assert kustomization["images"] == [{"name": "sluice", "newTag": say("version").split()[1]}]


def test_a_pod_is_wanted_for_as_many_jobs_as_it_takes(manifests, container, overlay):
    region = one(manifests, "ConfigMap", next(find(container, "configMapKeyRef"))["name"])["data"]["region"]
    trigger, = one(manifests, "ScaledObject")["spec"]["triggers"]
    assert region == overlay
    assert trigger["metadata"]["query"].endswith(f"from sluice_backlog where region in ('', '{region}')")
    assert trigger["metadata"]["targetQueryValue"] == environment(container)["SLUICE_CONCURRENCY"]["value"]
    assert one(manifests, "Deployment")["spec"].get("replicas") is None  # or each apply would undo the scaling


@pytest.mark.skipif(not postgres.available(), reason="PostgreSQL is not installed")
def test_the_query_counts_what_could_be_worked_on():
    trigger, = one(rendered("eu"), "ScaledObject")["spec"]["triggers"]
    with postgres.Cluster() as cluster, Sluice(store=None) as sluice:
        store = cluster.new_database()
        sluice.configure(store=store)
        sluice.ok("init")
        assert cluster.sql(trigger["metadata"]["query"], postgres.database_of(store)) == "0"
        cluster.sql(JOBS, postgres.database_of(store))
        assert cluster.sql(trigger["metadata"]["query"], postgres.database_of(store)) == "3"


# Work for the pods of `eu`: one job that is free, one without a region, one under way. None: held; another region's; those of
# a channel that rests.
JOBS = """
insert into tenant overriding system value values (1, 't', 0);
insert into client overriding system value values (1, 1, 'c', '', null, '', '', '', 1, 1, 0);
insert into channel (id, tenant_id, client_id, name, yt_channel_id, added_at_ms)
  overriding system value values (1, 1, 1, 'h', 'UC1', 0),
  (2, 1, 1, 'dead', 'UC2', 0);
insert into turn (tenant_id, channel_id, milliplaces, rest_until_ms) values (1, 1, 5000, 0), (1, 2, 0, now_ms() + 300000);
insert into job (id, tenant_id, channel_id, region, state, cause, size_bytes, added_at_ms, changed_at_ms, storage_path,
  fingerprint, title, idempotency_key, params_digest, metadata)
  select n, 1, channel, region, state, cause, 1, 0, 0, '', '', '', n, '', '' from (values ('A', 1, 'eu', 'queued', ''),
    ('B', 1, '', 'queued', ''), ('C', 1, 'eu', 'queued', ''), ('D', 1, 'eu', 'held', 'ambiguous'), ('E', 1, 'us', 'queued', ''),
    ('F', 2, 'eu', 'queued', '')) as j (n, channel, region, state, cause);
update job set state = 'uploading', lease_owner = 'w', lease_until_ms = now_ms() + 45000 where id = 'C';
"""


# ---- Prometheus' rules

def rules():
    return [rule for group in documents(DEPLOY / "prometheus" / "sluice.rules.yml")[0]["groups"] for rule in group["rules"]]


def test_every_alert_has_its_paragraph_and_every_metric_exists():
    known = listed(say("reference", "metrics"), r"^### `(\w+)`")
    assert [rule["alert"] for rule in rules()] == re.findall(r"^### (Sluice\w+)$", OPERATIONS, re.M)
    for text in [*(rule["expr"] for rule in rules()), OPERATIONS]:
        for name in set(re.findall(r"\bsluice_[a-z_]+\b", text)) - {"sluice_backlog"}:
            assert re.sub("_(bucket|sum|count)$", "", name) in known, name


def test_labels_of_alerts_are_words_of_the_program():
    metrics = say("reference", "metrics")
    lifecycle = (ROOT / "docs" / "lifecycle.md").read_text()
    for rule in rules():
        for label, value in re.findall(r'(\w+)[!=~]+"([^"]+)"', rule["expr"]):
            assert re.search(rf"labels:.*\b{label}\b", metrics), label
            if label in ("state", "cause"):
                assert all(f"`{word}`" in lifecycle for word in value.split("|")), value


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_prometheus_reads_the_rules():
    done = subprocess.run(["promtool", "check", "rules", str(DEPLOY / "prometheus" / "sluice.rules.yml")],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


# ---- systemd's units

UNITS = ["sluice-worker.service", "sluice-worker@.service"]


def unit_path(name):
    return pathlib.Path(program()).parents[2] / "deploy" / name


@pytest.fixture(params=UNITS)
def unit(request):
    path = unit_path(request.param)
    if not path.exists():
        pytest.skip("built without systemd's units")
    return path


def settings_of(unit):
    return re.findall(r"^(\w+)=(.*)$", unit.read_text(), re.M)


def test_x03_systemd_waits_for_a_drain(unit):
    settings = dict(settings_of(unit))
    assert int(settings["TimeoutStopSec"]) > DRAIN_S
    assert (settings["KillSignal"], settings["KillMode"]) == ("SIGTERM", "mixed")  # the broker outlives the drain


def test_the_unit_names_what_exists(unit, worker_flags, keys):
    settings = dict(settings_of(unit))
    command, subcommand, *rest = settings["ExecStart"].split()
    assert command.endswith("/bin/sluice") and subcommand == "worker"
    assert {word for word in rest if word.startswith("--")} <= worker_flags
    named = set(re.findall(r"\b(SLUICE_[A-Z_]+)=", settings["Environment"]))
    assert named == {"SLUICE_KEY_FILE"} <= keys
    assert settings["Environment"].startswith("SLUICE_KEY_FILE=%d/" + settings["LoadCredential"].split(":")[0])
    assert re.search(rf"^u {settings['User']} ", (DEPLOY / "systemd" / "sluice.sysusers").read_text(), re.M)


def analyze(*args):
    tool = shutil.which("systemd-analyze")
    if not tool:
        pytest.skip("systemd-analyze is not installed")
    return subprocess.run([tool, *map(str, args)], capture_output=True, text=True, timeout=60)


def test_systemd_finds_nothing_wrong(unit, tmp_path):
    name = unit.name.replace("@.", "@eu.")
    text = re.sub(r"^ExecStart=\S+", f"ExecStart={program()}", unit.read_text(), flags=re.M)
    (tmp_path / name).write_text(text)
    done = analyze("verify", "--man=no", tmp_path / name)
    assert done.returncode == 0 and name.split(".")[0] not in done.stderr, done.stderr


def test_systemd_calls_the_unit_well_shut_in(unit, tmp_path):
    name = unit.name.replace("@.", "@eu.")
    shutil.copy(unit, tmp_path / name)
    done = analyze("security", "--offline=true", "--threshold=20", "--no-pager", tmp_path / name)
    assert done.returncode == 0, done.stdout[-400:] + done.stderr
