"""Keeps webhooks out of this network: the address that is checked is the address that is connected to."""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import AddrInfoType

from engagements.domain.webhook_address import check_address

Lookup = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port → its addresses as text. Raises OSError."""

Check = Callable[[str], None]
"""Raises RefusedAddressError for an address that must not be connected to."""


class Guard(AbstractResolver):
    """Checks every address on both ways by which aiohttp comes to a connection.

    A name is looked up once, and the answer is refused as a whole if any of its addresses is: one that mixes
    public and private addresses has no honest reason. What passed is what aiohttp connects to, with the name
    kept in Host and SNI. A URL with a literal address never asks a resolver, so `open_socket` checks again,
    right before the connection is made, whatever way the address came.
    """

    def __init__(self, check: Check | None = check_address, *, lookup: Lookup | None = None) -> None:
        """check: None allows every address. lookup: the system's when None."""
        self._check = check
        self._lookup = lookup or system_lookup

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises RefusedAddressError; OSError when the name cannot be resolved."""
        addresses = await self._lookup(host, port)
        if not addresses:
            raise OSError(None, f"{host} has no address")
        if self._check is not None:
            for address in addresses:
                self._check(address)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in addresses
        ]

    def open_socket(self, address: AddrInfoType) -> socket.socket:
        """A socket for that very address. Raises RefusedAddressError."""
        family, kind, protocol, _, where = address
        if self._check is not None:
            self._check(str(where[0]))
        return socket.socket(family, kind, protocol)

    async def close(self) -> None:
        """Holds nothing."""


async def system_lookup(host: str, port: int) -> list[str]:
    """By getaddrinfo, in a daemon thread for each lookup.

    A name server that hangs would fill the loop's shared pool of threads, and so delay other channels, and it
    would hold up the process's exit. aiohttp asks once per host at a time and keeps the answer for 10 s, so
    there is no more than one thread per channel.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[str]] = loop.create_future()

    def settle(addresses: list[str] | None, error: OSError | None) -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(addresses or [])

    def look_up() -> None:
        addresses, error = None, None
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
            addresses = list(dict.fromkeys(str(where[0]) for *_, where in found))
        except OSError as caught:
            error = caught
        except UnicodeError as caught:
            error = OSError(None, f"{host} is no host name: {caught}")
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, addresses, error)

    threading.Thread(target=look_up, name=f"dns {host}", daemon=True).start()
    return await answer
