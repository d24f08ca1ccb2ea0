"""HTTP to addresses that strangers name: never into the own network.

The name is resolved once, every address it has must be public, and the connection goes to the address that was checked,
so that a second answer of the name server changes nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx2

from omni.foundation.http_client import http_call_attributes
from omni.telemetry.local_traces import client_call

_NAT64 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class TargetRefused(Exception):
    """The URL leads to where this server does not go; the text may be shown."""


class OutboundPost:
    """Posts to one target at a time. `allow_loopback` also lets plain http and 127.0.0.0/8 through, for tests."""

    def __init__(self, allow_loopback: bool = False, timeout_seconds: float = 10.0) -> None:
        self._allow_loopback = allow_loopback
        self._timeout_seconds = timeout_seconds

    async def check(self, url: str) -> str:
        """The address to connect to. Raises TargetRefused, OSError when the name does not resolve."""
        parts = urlsplit(url)
        try:
            host, port = parts.hostname, parts.port
        except ValueError:
            raise TargetRefused("The URL has no valid port.") from None
        if not host or parts.username or parts.password:
            raise TargetRefused("The URL needs a host name, and no user or password.")
        if parts.scheme != "https" and not (self._allow_loopback and parts.scheme == "http"):
            raise TargetRefused("The URL must begin with https://.")
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._timeout_seconds):
            found = await loop.getaddrinfo(host, port or 443, type=socket.SOCK_STREAM)
        addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
        if not addresses or not all(self._may_reach(address) for address in addresses):
            raise TargetRefused("The URL leads to an address that is not public.")
        return str(addresses[0])

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """The status of the answer, whose body is not read. Follows no redirect, uses no proxy. The receiver is told
        of the trace, where there is one.

        Raises TargetRefused, OSError, httpx2.HTTPError.
        """
        address = await self.check(url)
        target = httpx2.URL(url)
        pinned = target.copy_with(host=address)
        sent = {**headers, "Host": target.netloc.decode("ascii")}
        extensions = {"sni_hostname": target.host}
        with client_call("POST", http_call_attributes("POST", target)) as call:
            if call.traceparent is not None:
                sent["traceparent"] = call.traceparent
            async with (
                asyncio.timeout(self._timeout_seconds),
                httpx2.AsyncClient(timeout=self._timeout_seconds, trust_env=False, follow_redirects=False) as client,
                client.stream("POST", pinned, content=body, headers=sent, extensions=extensions) as response,
            ):
                call.answered(response.status_code)
                return response.status_code

    def _may_reach(self, address: _Address) -> bool:
        address = _embedded(address)
        return is_public(address) or (self._allow_loopback and address.is_loopback)


def is_public(address: _Address) -> bool:
    """Whether the address belongs to the internet at large: no private, link-local, shared or reserved network."""
    address = _embedded(address)
    return address.is_global and not address.is_multicast


def _embedded(address: _Address) -> _Address:
    """The IPv4 address inside an IPv6 one (mapped, 6to4, NAT64), else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    inside = address.ipv4_mapped or address.sixtofour
    if inside is None and any(address in network for network in _NAT64):
        inside = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return inside or address
