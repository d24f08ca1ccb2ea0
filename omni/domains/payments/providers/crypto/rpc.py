"""What the watcher asks a node, over JSON-RPC (ethereum.github.io/execution-apis)."""

from __future__ import annotations

from typing import Any

import httpx2

from omni.domains.payments.providers.http import TIMEOUT, failed, parsed, send

_BALANCE_OF = "0x70a08231"
_LATEST_ROUND = "0xfeaf968c"
_WORD = 64


class Node:
    """A node that is not ours to trust with money: it only reads for us."""

    def __init__(self, http: httpx2.AsyncClient, url: str, chain_id: int) -> None:
        self._http = http
        self._url = url
        self._chain_id = chain_id
        self._checked = False
        self._calls = 0

    async def head(self) -> int:
        """The number of the latest block. Raises UpstreamFailed when the node is on another chain."""
        if not self._checked:
            found = int(await self._call("eth_chainId"), 16)
            if found != self._chain_id:
                raise failed(f"the node is on chain {found}, not on {self._chain_id}")
            self._checked = True
        return int(await self._call("eth_blockNumber"), 16)

    async def balance(self, address: str, block: int, contract: str | None) -> int:
        """What an address holds at a block, in the smallest unit of ether or of a token."""
        if contract is None:
            return int(await self._call("eth_getBalance", address, hex(block)), 16)
        data = _BALANCE_OF + address[2:].lower().rjust(_WORD, "0")
        return _word(await self._call("eth_call", {"to": contract, "data": data}, hex(block)), 0)

    async def spent_from(self, address: str, block: int) -> bool:
        """Whether the address has sent anything up to a block, as when the operator sweeps it."""
        return int(await self._call("eth_getTransactionCount", address, hex(block)), 16) > 0

    async def feed(self, contract: str) -> tuple[int, int]:
        """Answer and Unix time of a price feed (`latestRoundData` of Chainlink's AggregatorV3Interface)."""
        words = await self._call("eth_call", {"to": contract, "data": _LATEST_ROUND}, "latest")
        return _word(words, 1), _word(words, 3)

    async def _call(self, method: str, *params: object) -> str:
        self._calls += 1
        body = {"jsonrpc": "2.0", "id": self._calls, "method": method, "params": params}
        request = self._http.build_request("POST", self._url, json=body, timeout=TIMEOUT)
        answer: dict[str, Any] = parsed(await send(self._http, request, busy=frozenset()))
        result = answer.get("result")
        if not isinstance(result, str) or not result.startswith("0x"):
            raise failed(f"{method}: {answer.get('error')}")
        return result


def _word(data: str, index: int) -> int:
    """One 32-byte word of an ABI answer. Raises UpstreamFailed for an answer that is too short."""
    start = 2 + index * _WORD
    digits = data[start : start + _WORD]
    if len(digits) != _WORD:
        raise failed("eth_call: the contract answers otherwise than its interface says")
    return int(digits, 16)
