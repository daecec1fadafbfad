"""A stretch of wire between sluice and the emulator that a test can cut, stall, bend or lead elsewhere.

    with Wire(emulator) as wire:
        home.configure(api_root=wire.url)
        wire.cut()

It carries TLS as it is: what it does is what a network does, never what a server does.
"""

import socket
import struct
import threading


class Wire:
    def __init__(self, emulator):
        self.target = (emulator.host, emulator.port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"https://127.0.0.1:{self.port}"
        self.pairs = []
        self.lock = threading.Lock()
        self.open = threading.Event()
        self.open.set()
        self.flips = 0
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

    def _join(self, near):
        self.callers += 1
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
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self._start()

    def stall(self):
        """Nothing gets through until `flow`."""
        self.open.clear()

    def flow(self):
        self.open.set()

    def flip_a_bit(self):
        """In the next big piece on its way up."""
        self.flips = 1


def reset(end):
    try:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    end.close()
