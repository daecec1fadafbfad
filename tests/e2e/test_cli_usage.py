"""What every command has in common: help, wrong words, exit codes, errors as JSON, configuration."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from sluice import Sluice  # noqa: E402


@pytest.fixture
def sluice():
    with Sluice() as sluice:
        yield sluice


def commands(sluice):
    lines = sluice.ok("help").out.split("commands\n", 1)[1].split("\n\n", 1)[0].splitlines()
    return [line[2:20].strip() for line in lines if line[2] != " "]


def test_help_shows_every_command_and_each_has_help_of_its_own(sluice):
    names = commands(sluice)
    assert {"init", "client import", "channel login", "add", "upload", "worker", "job show", "status", "audit",
            "check", "version"} <= set(names)
    assert "broker" not in names and "reference" not in names
    for name in names:
        text = sluice.ok(*name.split(), "--help").out
        assert text.startswith(f"usage: sluice {name}")
        assert text == sluice.ok("help", *name.split()).out
        assert all(len(line) <= 100 for line in text.splitlines())


def test_results_go_to_standard_output_and_errors_to_standard_error(sluice):
    assert sluice.ok("version").line.startswith("sluice ")
    assert sluice.ok("version").err == ""
    assert sluice.fails(2, "version", "--bulid").out == ""


@pytest.mark.parametrize("args, said", [
    ([], "no command"),
    (["uplaod"], 'did you mean "upload"?'),
    (["job"], 'unknown command "job"'),
    (["job", "lst"], 'did you mean "job list"?'),
    (["init", "--forse"], "unknown option --forse"),
    (["init", "-z"], "unknown option -z"),
    (["channel", "login", "main", "--devise"], "unknown option --devise"),
    (["channel", "thaw", "main"], "unknown command"),
    (["add", "a.mp4", "--chan", "main"], "unknown option --chan; did you mean --channel?"),
    (["add", "a.mp4", "--channel"], "--channel needs a value"),
    (["add", "a.mp4", "--channel", "a", "--channel", "b"], "--channel is given twice"),
    (["add"], "add needs FILE"),
    (["init", "now"], "one word too many"),
    (["status", "--json=yes"], "--json takes no value"),
    (["worker", "--concurrency", "many"], "--concurrency"),
    (["worker", "--concurrency", "0"], "at least 1"),
    (["worker", "--drain-wait", "5s"], "goes with --drain"),
    (["job", "list", "--state", "lost"], "is no state"),
    (["job", "list", "--limit", "-1"], "--limit"),
    (["client", "limits", "x"], "--uploads, --units"),
    (["job", "resolve", "01ABCDEFG"], "--video ID"),
    (["init", "--log-level", "loud"], "one of error warn info debug"),
])
def test_wrong_usage_is_2_and_says_what_is_wrong(sluice, args, said):
    result = sluice.fails(2, *args)
    assert said in result.err
    assert result.out == ""


def test_with_json_an_error_is_an_object_on_standard_error(sluice):
    result = sluice.fails(2, "--json", "status", "--forse")
    assert result.errors == [{"error": "USAGE", "exit": 2, "message": result.errors[0]["message"]}]
    assert "--forse" in result.errors[0]["message"]


@pytest.mark.parametrize("text, said", [
    ("concurency = 3\n", 'sluice.conf:1: unknown key "concurency"; did you mean "concurrency"?'),
    ("\nchunk_bytes = 8000000\n", "sluice.conf:2: chunk_bytes"),
    ("region = a\nregion = b\n", "first on line 1"),
    ("[worker]\n", "no sections"),
    ("hello\n", "key = value"),
])
def test_a_mistake_in_the_configuration_is_3_and_names_its_line(sluice, text, said):
    sluice.config.write_text(text)
    assert said in sluice.fails(3, "status").err


def test_a_configuration_file_that_is_missing_is_4(sluice):
    assert "/nowhere.conf" in sluice.fails(4, "status", "--config", "/nowhere.conf").err
    assert "/nowhere.conf" in sluice.fails(4, "status", env={"SLUICE_CONFIG": "/nowhere.conf"}).err


def test_the_environment_is_read_and_checked(sluice):
    sluice.ok("init", env={"SLUICE_STORE": f"sqlite:{sluice.home}/other/x.db"})
    assert (sluice.home / "other" / "x.db").exists()
    assert "SLUICE_CHUNK_BYTES" in sluice.fails(3, "status", env={"SLUICE_CHUNK_BYTES": "1"}).err


def test_a_flag_wins_over_the_environment(sluice):
    sluice.ok("init", "--store", f"sqlite:{sluice.home}/flag/x.db",
              env={"SLUICE_STORE": f"sqlite:{sluice.home}/env/x.db"})
    assert (sluice.home / "flag" / "x.db").exists()
    assert not (sluice.home / "env").exists()


def test_a_store_of_an_unknown_kind_is_3(sluice):
    assert "mysql" in sluice.fails(3, "status", "--store", "mysql://x/y").err


def test_without_a_home_the_store_must_be_named(sluice):
    sluice.env.pop("HOME")
    sluice.env.pop("XDG_STATE_HOME")
    assert "SLUICE_STORE" in sluice.fails(3, "status").err


def test_a_full_disk_under_standard_output_is_no_success(sluice):
    with open("/dev/full", "w") as full:
        process = sluice.start("help", stdout=full)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "standard output" in err
