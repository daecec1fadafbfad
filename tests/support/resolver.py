"""A small name server on UDP, whose answers a test decides while it runs.

    with Resolver() as resolver:
        resolver.names["a.example.test"] = ["45.45.45.45"]      # or "nxdomain", "servfail", "timeout"
        resolver.names["b.example.test"] = [["10.0.0.1"], ["45.45.45.45"]]     # in turn, and then again
"""

import ipaddress
import socket
import struct
import threading

TYPE_A, TYPE_AAAA, NXDOMAIN, SERVFAIL = 1, 28, 3, 2


class Resolver:
    def __init__(self, host="127.0.0.53"):
        self.host = host
        self.names = {}
        self.questions = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def asked(self, name):
        return self.questions.count((name, TYPE_A))

    def forget(self, name):
        """Answers given in turn begin with the first again."""
        self.questions = [question for question in self.questions if question[0] != name]

    def _serve(self):
        while True:
            try:
                query, caller = self.socket.recvfrom(1500)
                reply = self._answer(query)
                if reply:
                    self.socket.sendto(reply, caller)
            except OSError:
                return

    def _answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        name, question = ".".join(labels), query[12:at + 5]
        kind = struct.unpack("!H", query[at + 1:at + 3])[0]
        self.questions.append((name, kind))
        value = self.names.get(name, "nxdomain")
        if value == "timeout":
            return None
        code = {"nxdomain": NXDOMAIN, "servfail": SERVFAIL}.get(value, 0) if isinstance(value, str) else 0
        if value and isinstance(value[0], list):
            value = value[(self.asked(name) - 1) % len(value)]
        found = [] if code else [ipaddress.ip_address(text).packed for text in value]
        wanted = [packed for packed in found if len(packed) == (4 if kind == TYPE_A else 16) and kind in (TYPE_A, TYPE_AAAA)]
        # TTL 0: nobody may remember it.
        records = [struct.pack("!HHHIH", 0xc00c, kind, 1, 0, len(packed)) + packed for packed in wanted]
        return query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(records), 0, 0) + question + b"".join(records)
