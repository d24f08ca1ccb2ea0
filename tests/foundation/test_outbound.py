"""HTTP to addresses that strangers name goes to public ones only, and to the one that was checked."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address
from typing import Any

import pytest

from omni.foundation.outbound import OutboundPost, TargetRefused, is_public


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "198.18.0.1", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1",
        "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2001:db8::1",
    ],
)  # fmt: skip
def test_addresses_of_the_own_network(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"])
def test_public_addresses(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/", "https://[::1]/", "https://localhost/", "https://2130706433/", "https://0x7f.1/",
        "https://169.254.169.254/latest", "http://1.1.1.1/", "ftp://1.1.1.1/", "https://user:pass@1.1.1.1/",
        "https://", "https://1.1.1.1:99999/", "//1.1.1.1/",
    ],
)  # fmt: skip
async def test_urls_that_lead_inside_are_refused(url: str) -> None:
    with pytest.raises(TargetRefused):
        await OutboundPost().check(url)
    with pytest.raises(TargetRefused):
        await OutboundPost().post(url, b"", {})


async def test_one_private_address_among_public_ones_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[list[str]] = [["1.1.1.1", "10.0.0.1"], ["1.1.1.1"]]

    async def resolve(*_given: Any, **_more: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in answers.pop(0)]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve, raising=False)
    with pytest.raises(TargetRefused):
        await OutboundPost().check("https://mixed.test/")
    assert await OutboundPost().check("https://mixed.test/") == "1.1.1.1"


async def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    """The name is asked once: whatever it leads to later is not reached. Host stays that of the URL."""
    heard: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    class Pinned(OutboundPost):
        async def check(self, url: str) -> str:
            return "127.0.0.1"

    status = await Pinned(allow_loopback=True).post(f"http://nowhere.invalid:{port}/x", b"", {})
    server.close()
    await server.wait_closed()
    assert status == 204
    assert f"Host: nowhere.invalid:{port}\r\n".encode().lower() in heard[0].lower()
