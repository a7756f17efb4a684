"""A TLS server on loopback, with a certificate of an authority that no client trusts by default."""

import asyncio
import ssl
import threading
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Self

import trustme


class TlsFront:
    """Terminates TLS and relays the decrypted bytes to a loopback port.

    It uses one thread: a TLS connection may not be read and written by two threads at a time.

    Args:
        behind: the port to relay to.
        folder: where the authority's certificate is written.
        until: end of validity of the server's certificate.

    Attributes:
        authority: path of the authority's certificate, for a client's list of trusted authorities.
        port: where it listens.
    """

    port: int

    def __init__(self, behind: int, folder: Path, *, until: datetime | None = None) -> None:
        authority = trustme.CA()
        self.authority = folder / "authority.pem"
        authority.cert_pem.write_to_path(self.authority)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", not_after=until).configure_cert(self._context)
        self._behind = behind
        self._loop = asyncio.new_event_loop()
        # A client that does not trust the certificate hangs up, which is no error here.
        self._loop.set_exception_handler(lambda loop, context: None)
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        start = asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        self._server = asyncio.run_coroutine_threadsafe(start, self._loop).result()
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    def __exit__(self, *error: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        self._server.close()
        await self._server.wait_closed()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._behind)
        try:
            await asyncio.gather(_relay(reader, inner_writer), _relay(inner_reader, writer))
        finally:
            inner_writer.close()
            writer.close()


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
        else:
            writer.close()
