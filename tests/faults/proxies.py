"""TCP proxies on loopback: `TcpProxy` relays bytes, `SlowProxy` relays them late."""

import socket
import threading
import time
from contextlib import suppress
from typing import Self


class TcpProxy:
    """Accepts connections on *listener* and relays each to a loopback port.

    Args:
        target_port: where connections are relayed to.
        listener: where the proxy listens; by default on a free port.

    Attributes:
        port: where the proxy listens.
        target_port: may be changed, for new connections.
    """

    def __init__(self, target_port: int, listener: socket.socket | None = None) -> None:
        self.target_port = target_port
        self._listener = listener or socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._listener.close()
        for connection in self._sockets:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join()
        for connection in self._sockets:
            connection.close()

    def _start(self, function: object, *args: object) -> None:
        thread = threading.Thread(target=function, args=args)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(client)
            self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self.target_port))
        except OSError:
            client.close()
            return
        self._sockets.append(server)
        self._start(self._relay, server, client, True)
        self._relay(client, server, False)

    def delay_response(self) -> None:
        """Called before each part of a response is relayed."""

    def _relay(self, source: socket.socket, target: socket.socket, responses: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if responses:
                    self.delay_response()
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)


class SlowProxy(TcpProxy):
    """A slow connection to a store.

    Attributes:
        delay: seconds by which each part of a response is delayed.
    """

    delay = 0.0

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def delay_response(self) -> None:
        time.sleep(self.delay)
