"""Looks into the processes of sluice while they run (I5), again and again: what a test does at one moment may be somewhere
at that moment only.

    with Watch(emulator, homes):       homes: a list that may grow meanwhile
        …                              anything
    assert watch.looks > 0             it raises at the end what it has found

Workers and commands: no refresh token, no client secret and no key in their memory, but for what a command is there for, as
docs/vault.md has it: to hand it over to its broker, to make a key, to seal all anew. These, the keepers and the brokers: no secret at all in arguments and environment.

With SLUICE_SCAN_MEMORY=1 every test that has a `world` is watched so.
"""

import itertools
import os
import pathlib
import threading

import oracles

NEVER_HELD = ("refresh_tokens", "client_secrets", "key")
HELD_BY = {(b"client", b"import"): ("client_secrets",), (b"channel", b"import"): ("refresh_tokens", "client_secrets"),
           (b"init",): ("key",), (b"key",): NEVER_HELD}


def keys(homes):
    """The keys of the homes, as their files say them and as the broker holds them."""
    for home in homes:
        if home.key_file.exists():
            text = home.key_file.read_text().split()[1]
            yield from (("key", text.encode()), ("key", bytes.fromhex(text)))


def never_held(words):
    """What a process of these arguments must not have in its memory."""
    if words[1:2] in ([b"broker"], [b"keeper"]):
        return ()
    held = [kinds for command, kinds in HELD_BY.items() if tuple(words[1:1 + len(command)]) == command]
    return tuple(kind for kind in NEVER_HELD if kind not in itertools.chain(*held))


def processes(homes):
    """(pid, its arguments) of what runs in one of the homes."""
    places = tuple(str(home.home) for home in homes)
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if places and os.readlink(entry / "cwd").startswith(places) and b"sluice" in words[0]:
                yield int(entry.name), words
        except (OSError, PermissionError):
            continue  # over already, or nobody may look


class Watch:
    def __init__(self, emulator, homes, pause_s=0.05):
        self.emulator, self.homes, self.pause_s = emulator, homes, pause_s
        self.looks = 0
        self.found = []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.over.set()
        self.thread.join()
        if not kind:
            self.judge()

    def judge(self):
        assert not self.found, self.found[0]

    def run(self):
        while not self.over.wait(self.pause_s):
            self.look()

    def look(self):
        try:
            secrets = oracles.planted(self.emulator) + list(keys(list(self.homes)))
        except (OSError, ValueError):
            return  # the emulator is not there just now: nor is anything new
        for pid, words in processes(list(self.homes)):
            try:
                oracles.judge_process_for(secrets, pid, never_held(words))
                self.looks += 1
            except AssertionError as error:
                self.found.append(f"{b' '.join(words[1:4]).decode()}: {error}")
            except (OSError, ValueError):
                continue  # it has ended meanwhile
