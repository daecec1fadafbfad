"""The manual says what the program does: its tables are made from the program's own, its examples run."""

import pathlib
import re
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from sluice import ROOT, Sluice, program  # noqa: E402


def test_the_manuals_tables_are_those_of_the_program():
    done = subprocess.run([ROOT / "scripts" / "reference", "--check", program()], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not shutil.which("scdoc"), reason="scdoc is not installed")
@pytest.mark.parametrize("page", ["sluice.1", "sluice.conf.5"])
def test_the_man_pages_can_be_made(page):
    source = (ROOT / "man" / f"{page}.scd").read_bytes()
    done = subprocess.run(["scdoc"], input=source, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(b".SH") >= 5


@pytest.mark.parametrize("file", ["docs/configuration.md", "man/sluice.conf.5.scd"])
def test_the_examples_of_configuration_are_accepted(file):
    text = (ROOT / file).read_text()
    examples = re.findall(r"^```\n(.*?)^```$", text, re.M | re.S) + re.findall(r"(?:^    .*\n)+", text, re.M)
    examples = [example for example in examples if "media_root" in example]
    assert examples
    with Sluice() as sluice:
        for example in examples:
            sluice.config.write_text(re.sub("^    ", "", example, flags=re.M))
            sluice.ok("init")


def test_the_exit_codes_are_the_same_everywhere():
    with Sluice() as sluice:
        overview = sluice.ok("help").out
    for code in (0, 1, 2, 3, 4, 5, 6, 7, 8, 75):
        assert re.search(rf"\b{code} [a-z]", overview), code
        assert f"| {code} |" in (ROOT / "docs" / "commands.md").read_text(), code
        assert f"*{code}*\n" in (ROOT / "man" / "sluice.1.scd").read_text(), code
