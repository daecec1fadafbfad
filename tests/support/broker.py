"""Speaks with a broker as a worker does, in the messages of docs/vault.md: for tests of what a broker does when whoever
holds a worker's end of the socket asks for what it must not have.

    with Broker(sluice) as broker:
        result, token = broker.token(tenant_id, channel_id, job_id, lease_epoch)
"""

import os
import socket
import struct
import subprocess

from sluice import program

CONFIG, TOKEN = 0, 1  # the first ones of enum message_type
HEAD = struct.Struct(">BQ")
FIELD = struct.Struct(">BI")
NUMBER, TEXT, BYTES = 1, 2, 3
OK = 0


def encoded(field):
    if isinstance(field, int):
        return FIELD.pack(NUMBER, 8) + struct.pack(">q", field)
    return FIELD.pack(TEXT, len(field.encode()) + 1) + field.encode() + b"\0"


def decoded(body):
    fields = []
    while body:
        kind, size = FIELD.unpack_from(body)
        value, body = body[FIELD.size:FIELD.size + size], body[FIELD.size + size:]
        fields.append(struct.unpack(">q", value)[0] if kind == NUMBER else
                      value[:-1].decode() if kind == TEXT else value)
    return fields


class Broker:
    """A broker process as a worker of this home starts it, with the same configuration; its parent is the test."""

    def __init__(self, home):
        self.ours, theirs = socket.socketpair()
        self.ours.settimeout(60)
        self.last_id = 0
        self.log_path = home.home / "asked-broker.log"
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([program(), "broker"], env=home.env, close_fds=False, stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL, stderr=log,
                                            preexec_fn=lambda: os.dup2(theirs.fileno(), 3))
        theirs.close()
        settings = home.settings
        self.hello = self.ask(
            CONFIG, f"sqlite:{home.store}", str(home.key_file), settings["api_root"], settings.get("ca_file", ""), "",
            int(settings["allow_plain_loopback"] == "yes"), 0, 0,  # and how to log
            "", "", "", 0,  # URLs of CDNs
            "", "", "", "", "",  # the token service
            "", 0, "",  # all tenants
            "", 0)  # in nobody's name, and no looks at videos

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ours.close()
        self.process.wait(60)

    def ask(self, kind, *fields):
        """The fields of the answer."""
        self.last_id += 1
        body = HEAD.pack(kind, self.last_id) + b"".join(map(encoded, fields))
        self.ours.sendall(struct.pack(">I", len(body)) + body)
        answer = self.read(struct.unpack(">I", self.read(4))[0])
        assert HEAD.unpack_from(answer)[1] == self.last_id, answer
        return decoded(answer[HEAD.size:])

    def read(self, size):
        data = b""
        while len(data) < size:
            part = self.ours.recv(size - len(data))
            assert part, f"the broker has ended:\n{self.log_path.read_text()}"
            data += part
        return data

    def token(self, tenant_id, channel_id, job_id, lease_epoch, fresh=False):
        """(result, access token)"""
        return tuple(self.ask(TOKEN, tenant_id, channel_id, job_id, lease_epoch, int(fresh))[:2])
