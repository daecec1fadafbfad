"""What the program consists of (scripts/sbom), and how it was hardened (`version --build`)."""

import json
import pathlib
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from sluice import ROOT, Sluice, program  # noqa: E402


def sbom():
    return subprocess.run([ROOT / "scripts" / "sbom", program()], check=True, capture_output=True).stdout


@pytest.mark.skipif(not shutil.which("dpkg-query"), reason="no Debian packages here")
def test_the_parts_list_names_every_library_and_is_the_same_each_time():
    first = sbom()
    assert first == sbom()
    parts = json.loads(first)
    assert (parts["bomFormat"], parts["specVersion"]) == ("CycloneDX", "1.5")
    named = {part["name"] for part in parts["components"]}
    for library in ("libcurl", "libuv1", "libsqlite3-0", "libpq5", "libsodium23", "libjansson4", "libxxhash0", "libc6"):
        assert any(name.startswith(library) for name in named), (library, named)
    assert all(part["version"] and part["purl"].startswith("pkg:deb/") for part in parts["components"])
    assert parts["dependencies"][0]["dependsOn"] == [part["bom-ref"] for part in parts["components"]]


def test_the_program_is_hardened():
    with Sluice() as sluice:
        build = sluice.ok("version", "--json").json
        told = sluice.ok("version", "--build").out
    assert "stack protector" in told and "Landlock" in told
    if build["sanitizers"] != "none":
        pytest.skip("a build for tests")
    hardening = build["hardening"]
    for name in ("pie", "relro", "bind_now", "no_exec_stack", "stack_protector", "fortify"):
        assert hardening[name], (name, hardening)
