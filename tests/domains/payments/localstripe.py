"""A localstripe process: an independent server of Stripe's API, which keeps its state in memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2

from omni.apps.embedded.launch import free_port

AUTHORIZATION = {"authorization": "Bearer sk_test_12345"}

_PROGRAM = """
import sys
from aiohttp import web
from localstripe.resources import Store
from localstripe.server import app
Store.dump_to_disk = lambda self: None
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
"""


@contextmanager
def running_localstripe() -> Iterator[str]:
    """Its address."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", _PROGRAM, str(port)])
    try:
        with httpx2.Client(transport=httpx2.HTTPTransport(retries=8), trust_env=False, timeout=10) as client:
            client.get(f"http://127.0.0.1:{port}/v1/customers", headers=AUTHORIZATION)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


async def save_card(url: str, customer: str, number: str) -> dict[str, object]:
    """The payment method that a customer of the account has saved, as Stripe's page makes it of a card's number."""
    card = {"card[number]": number, "card[exp_month]": "12", "card[exp_year]": "2030", "card[cvc]": "123"}
    async with httpx2.AsyncClient(base_url=url, headers=AUTHORIZATION, trust_env=False) as http:
        made = (await http.post("/v1/payment_methods", data={"type": "card"} | card)).json()["id"]
        attached = await http.post(f"/v1/payment_methods/{made}/attach", data={"customer": customer})
        attached.raise_for_status()
        method: dict[str, object] = attached.json()
    return method
