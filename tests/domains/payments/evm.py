"""A chain to pay on: eth-tester's py-evm behind JSON-RPC, with a token and a price feed made of a few opcodes."""

from __future__ import annotations

import json
import warnings
from typing import Any

import httpx2

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from eth_tester import EthereumTester, PyEVMBackend

CHAIN_ID = 131277322940537
"""py-evm's own."""
TRANSFER, BALANCE_OF, LATEST_ROUND = "a9059cbb", "70a08231", "feaf968c"

# Calldata of 36 bytes is balanceOf(address): it answers the slot of that number. Else it is transfer(address, uint256),
# which adds to the slot of the address: everyone may mint.
TOKEN = bytes.fromhex("366024146013576004358054602435019055005b6004355460005260206000f3")
TOKEN_INIT = b"\x7f" + TOKEN + bytes.fromhex("60005260206000f3")


def feed_init(answer: int) -> bytes:
    """A contract that answers (0, answer, 0, the block's time, 0) to everything."""
    code = b"\x67" + answer.to_bytes(8) + bytes.fromhex("6020524260605260a06000f3")
    return b"\x74" + code + bytes.fromhex("6000526015600bf3")


class Chain(httpx2.AsyncBaseTransport):
    """A transport that is a node."""

    def __init__(self) -> None:
        self.chain = EthereumTester(PyEVMBackend())
        self.payer = self.chain.get_accounts()[0]
        self.away = False
        self.chain_id = CHAIN_ID
        self.asked: list[str] = []

    def send(self, to: str, wei: int) -> None:
        self._transact(to=to, value=wei)

    def deploy(self, code: bytes) -> str:
        receipt = self.chain.get_transaction_receipt(self._transact(data="0x" + code.hex()))
        return str(receipt["contract_address"])

    def send_token(self, contract: str, to: str, units: int) -> None:
        self._transact(to=contract, data=f"0x{TRANSFER}{to[2:].rjust(64, '0')}{units:064x}")

    def mine(self, blocks: int) -> None:
        self.chain.mine_blocks(blocks)

    def fork(self) -> Any:
        """A point to go back to."""
        return self.chain.take_snapshot()

    def reorganise(self, fork: Any, blocks: int) -> None:
        """Another branch from that point becomes the longer one."""
        self.chain.revert_to_snapshot(fork)
        self.chain.mine_blocks(blocks, coinbase="0x" + "11" * 20)

    def sweep(self, private_key: bytes) -> None:
        """The owner of an address sends away what it holds."""
        address = self.chain.add_account("0x" + private_key.hex())
        rest = self.chain.get_balance(address) - 21_000 * 10**10
        self._transact(sender=address, to=self.payer, value=rest, gas=21_000)

    def _transact(self, sender: str | None = None, gas: int = 200_000, **fields: Any) -> str:
        fees = {"max_fee_per_gas": 10**10, "max_priority_fee_per_gas": 1}
        return str(self.chain.send_transaction({"from": sender or self.payer, "gas": gas} | fees | fields))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if self.away:
            raise httpx2.ConnectError("refused", request=request)
        asked = json.loads(await request.aread())
        self.asked.append(asked["method"])
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": asked["id"]}
        try:
            answer["result"] = self._result(asked["method"], asked["params"])
        except Exception as error:  # noqa: BLE001 - a node answers whatever goes wrong
            answer["error"] = {"code": -32000, "message": str(error)}
        return httpx2.Response(200, json=answer, request=request)

    def _result(self, method: str, params: list[Any]) -> str:
        match method, params:
            case "eth_chainId", []:
                return hex(self.chain_id)
            case "eth_blockNumber", []:
                return hex(self.chain.get_block_by_number("latest")["number"])
            case "eth_getBalance", [address, block]:
                return hex(self.chain.get_balance(address, int(block, 16)))
            case "eth_getTransactionCount", [address, block]:
                return hex(self.chain.get_nonce(address, int(block, 16)))
            case "eth_call", [{"to": to, "data": data}, block]:
                call = {"from": self.payer, "to": to, "data": data, "gas": 100_000}
                return str(self.chain.call(call, block if block == "latest" else int(block, 16)))
        raise ValueError(f"the method {method} does not exist")
