"""TLS on loopback: certificates of an authority that nobody knows, and a server that has one."""

import socket
import ssl
import threading
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import trustme


class TlsFront:
    """Speaks TLS, and passes what it is told on to a loopback port.

    Args:
        folder: where the authority's certificate is put.
        until: when its own certificate ends.

    Attributes:
        port: where it listens.
        authority: the file that tells a client whom to believe.
    """

    def __init__(self, behind: int, folder: Path, *, until: datetime | None = None) -> None:
        self._behind = behind
        authority = trustme.CA()
        self.authority = folder / "authority.pem"
        authority.cert_pem.write_to_path(self.authority)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", not_after=until).configure_cert(context)
        self._listener = context.wrap_socket(
            socket.create_server(("127.0.0.1", 0)), server_side=True, do_handshake_on_connect=False
        )
        self.port = int(self._listener.getsockname()[1])
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._begin(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._listener.close()
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join()
        for one in self._open:
            one.close()

    def _begin(self, work: object, *given: object) -> None:
        thread = threading.Thread(target=work, args=given)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                front, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(front)
            self._begin(self._serve, front)

    def _serve(self, front: ssl.SSLSocket) -> None:
        try:
            front.settimeout(5)
            front.do_handshake()
            back = socket.create_connection(("127.0.0.1", self._behind))
        except OSError:
            # a client that does not believe who this is hangs up
            return
        self._open.append(back)
        self._begin(self._pass_on, back, front)
        self._pass_on(front, back)

    @staticmethod
    def _pass_on(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while chunk := source.recv(65536):
                target.sendall(chunk)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)
