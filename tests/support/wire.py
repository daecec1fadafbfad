"""A stretch of wire between sluice and the emulator that a test can cut, stall, bend or lead elsewhere.

    with Wire(emulator) as wire:
        home.configure(api_root=wire.url)
        wire.cut()

It carries TLS as it is: what it does is what a network does, never what a server does.
"""

import contextlib
import socket
import struct
import threading

# How a record of TLS 1.3 begins that can hold nothing but an alert: two bytes, their type, and a tag of 16.
ALERT = b"\x17\x03\x03\x00\x13"


class Wire:
    def __init__(self, emulator, host="127.0.0.1", port=0):
        self.target = (emulator.host, emulator.port)
        self.host = host
        self.listener = socket.create_server((host, port))
        self.port = self.listener.getsockname()[1]
        self.url = f"https://{host}:{self.port}"
        self.pairs = []
        self.lock = threading.Lock()
        self.open = threading.Event()
        self.open.set()
        self.flips = 0
        self.keeps_down = None
        self.ended = 0
        self.alerts = 0
        self.carried_bytes = 0
        self.callers = 0
        self._start()

    def _start(self):
        threading.Thread(target=self._serve, args=(self.listener,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.open.set()
        self.refuse()

    def _serve(self, listener):
        while True:
            try:
                near = listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._join, args=(near,), daemon=True).start()

    def _welcome(self, near):
        """What there is to say before anything is carried; false: nothing will be."""
        return True

    def _join(self, near):
        self.callers += 1
        if not self._welcome(near):
            return
        try:
            far = socket.create_connection(self.target, timeout=10)
        except OSError:
            reset(near)
            return
        far.settimeout(None)
        with self.lock:
            self.pairs.append((near, far))
        for source, sink, is_upwards in ((near, far, True), (far, near, False)):
            threading.Thread(target=self._carry, args=(source, sink, is_upwards), daemon=True).start()

    def _carry(self, source, sink, is_upwards):
        try:
            while True:
                data = source.recv(65536)
                self.open.wait()
                if not data:
                    break
                if is_upwards and self.flips and len(data) > 1000:
                    self.flips -= 1
                    data = bytearray(data)
                    data[len(data) // 2] ^= 1
                if not is_upwards and self.keeps_down is not None:
                    self.ended += 1
                    sink.sendall(data[:max(0, len(data) - self.keeps_down)])
                    break
                if not is_upwards and data[-24:-19] == ALERT:
                    self.alerts += 1
                sink.sendall(data)
                if is_upwards:
                    self.carried_bytes += len(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def ports(self):
        """The callers' ports of all connections that are open."""
        found = []
        with self.lock:
            for near, *_ in self.pairs:
                with contextlib.suppress(OSError):
                    found.append(near.getpeername()[1])
        return found

    # ---- what a test does to it

    def lead_to(self, emulator):
        """New connections go there from now on; those that are open are cut."""
        self.target = (emulator.host, emulator.port)
        self.cut()

    def cut(self):
        """Resets every connection, on both sides."""
        with self.lock:
            pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for end in pair:
                reset(end)

    def refuse(self):
        """Nobody listens any more, until `accept`."""
        reset(self.listener)
        self.cut()

    def accept(self):
        self.listener = socket.create_server((self.host, self.port))
        self._start()

    def stall(self):
        """Nothing gets through until `flow`."""
        self.open.clear()

    def flow(self):
        self.open.set()

    def flip_a_bit(self):
        """In the next big piece on its way up."""
        self.flips = 1

    def end_after_next_reply(self, kept_bytes=0):
        """The connection is closed behind what comes down next, without a word of TLS; `kept_bytes`: so much of it
        is lost. Until `go_on`."""
        self.keeps_down = kept_bytes

    def go_on(self):
        self.keeps_down = None


def reset(end):
    try:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    end.close()


class Proxy(Wire):
    """The same as an HTTP proxy: one that is asked to CONNECT, and connects to the emulator whatever it is asked for.
    `answer`: what it says instead of 200; "hang": it says nothing."""

    def __init__(self, emulator, **kwargs):
        self.answer = None
        self.refused = 0
        super().__init__(emulator, **kwargs)

    def _welcome(self, near):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            piece = near.recv(4096)
            if not piece:
                return False
            head += piece
        assert head.startswith(b"CONNECT ")
        if self.answer:
            self.refused += 1
        if self.answer == "hang":
            with self.lock:
                self.pairs.append((near,))
            return False
        if self.answer:
            near.sendall(f"HTTP/1.1 {self.answer}\r\nContent-Length: 0\r\n\r\n".encode())
            near.close()
            return False
        near.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        return True
