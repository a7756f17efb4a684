"""A TLS server on loopback, with a certificate of an authority that no client trusts by default."""

import socket
import ssl
from datetime import datetime
from pathlib import Path

import trustme
from faults.proxies import TcpProxy


class TlsFront(TcpProxy):
    """Terminates TLS and relays the decrypted bytes to a loopback port.

    Args:
        behind: the port to relay to.
        folder: where the authority's certificate is written.
        until: end of validity of the server's certificate.

    Attributes:
        authority: path of the authority's certificate, for a client's list of trusted authorities.
    """

    def __init__(self, behind: int, folder: Path, *, until: datetime | None = None) -> None:
        authority = trustme.CA()
        self.authority = folder / "authority.pem"
        authority.cert_pem.write_to_path(self.authority)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", not_after=until).configure_cert(context)
        listener = socket.create_server(("127.0.0.1", 0))
        super().__init__(
            behind, context.wrap_socket(listener, server_side=True, do_handshake_on_connect=False)
        )

    def prepare(self, client: socket.socket) -> None:
        assert isinstance(client, ssl.SSLSocket)
        client.settimeout(5)
        client.do_handshake()  # a client that does not trust the certificate hangs up
