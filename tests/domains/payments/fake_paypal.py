"""A PayPal after its published API: orders, captures, refunds, the vault, transaction search, signed webhooks.

developer.paypal.com: Orders v2, Payments v2, Payment Method Tokens v3, Transaction Search v1, "Integrate webhooks",
"Idempotency".
"""

from __future__ import annotations

import base64
import json
import zlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import httpx2
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from omni.domains.payments.providers.paypal.client import PayPalSettings
from omni.testing.payments import Behaviour

HOST = "api-m.paypal.example"
CERTIFICATE_URL = "https://api.paypal.example/v1/notifications/certs/CERT-1"
Answer = tuple[int, dict[str, Any]]


@cache
def signing_key() -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


def certificate(key: RSAPrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "messageverificationcerts.paypal.example")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    start = datetime(2026, 1, 1, tzinfo=UTC)
    dated = builder.serial_number(1).not_valid_before(start).not_valid_after(start + timedelta(days=730))
    return dated.sign(key, SHA256()).public_bytes(Encoding.PEM)


class FakePayPal(httpx2.AsyncBaseTransport):
    """A transport that is PayPal."""

    settings = PayPalSettings("client", "very-secret", "WEBHOOK1", f"https://{HOST}")

    def __init__(self) -> None:
        self.requests: list[httpx2.Request] = []
        self.methods: dict[str, Behaviour] = {}
        self.customers: dict[str, str] = {}
        self.approved_setups: dict[str, str] = {}
        self.orders: dict[str, dict[str, Any]] = {}
        self.captures: dict[str, dict[str, Any]] = {}
        self.transactions: list[dict[str, Any]] = []
        self.tokens = 0
        self._replays: dict[str, Answer] = {}
        self._faults: list[str] = []
        self._count = 0

    def next_faults(self, *faults: str) -> None:
        """What happens to the next requests that are not for a token: see StripeEdge."""
        self._faults = list(faults)

    def save_method(self, behaviour: Behaviour = "pays", customer: str = "") -> str:
        method = self._id("VAULT")
        self.methods[method] = behaviour
        self.customers[method] = customer
        return method

    def approve(self, order_id: str) -> None:
        """The payer agrees on PayPal's page."""
        self.orders[order_id]["status"] = "APPROVED"

    def sign(self, body: bytes, at: datetime, key: RSAPrivateKey | None = None) -> dict[str, str]:
        sent_at = at.isoformat().replace("+00:00", "Z")
        signed = f"69cd13f0-d67a-11e5-baa3-778b53f4ae55|{sent_at}|{self.settings.webhook_id}|{zlib.crc32(body)}"
        return {
            "paypal-transmission-id": "69cd13f0-d67a-11e5-baa3-778b53f4ae55",
            "paypal-transmission-time": sent_at,
            "paypal-transmission-sig": base64.b64encode(
                (key or signing_key()).sign(signed.encode(), PKCS1v15(), SHA256())
            ).decode(),
            "paypal-cert-url": CERTIFICATE_URL,
            "paypal-auth-algo": "SHA256withRSA",
        }

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        if str(request.url) == CERTIFICATE_URL:
            return httpx2.Response(200, content=certificate(signing_key()), request=request)
        if request.url.path.startswith("/v1/notifications/certs/"):
            return httpx2.Response(404, request=request)
        body = await request.aread()
        if request.url.path == "/v1/oauth2/token":
            assert request.headers["authorization"] == "Basic " + base64.b64encode(b"client:very-secret").decode()
            assert body == b"grant_type=client_credentials"
            self.tokens += 1
            return httpx2.Response(200, json={"access_token": f"token-{self.tokens}", "expires_in": 32400})
        if request.headers["authorization"] != f"Bearer token-{self.tokens}":
            return httpx2.Response(401, json={"error": "invalid_token"}, request=request)
        fault = self._faults.pop(0) if self._faults else ""
        if fault == "refused":
            raise httpx2.ConnectError("refused", request=request)
        if fault.isdigit():
            return httpx2.Response(int(fault), json={"name": "ERROR"}, request=request)
        status, content = self._replayed(request, json.loads(body) if body else {})
        if fault == "lost":
            raise httpx2.ReadTimeout("lost", request=request)
        return httpx2.Response(status, json=content if status != 204 else None, request=request)

    def _replayed(self, request: httpx2.Request, body: dict[str, Any]) -> Answer:
        key = request.headers.get("paypal-request-id")
        if request.method == "POST":
            assert key, "a writing request without an idempotency key"
            if key in self._replays:
                return self._replays[key]
        answer = self._answer(request, request.url.path.strip("/").split("/"), body)
        if key and answer[0] < 400:
            self._replays[key] = json.loads(json.dumps(answer))
        return answer

    def _answer(self, request: httpx2.Request, path: list[str], body: dict[str, Any]) -> Answer:
        match request.method, path:
            case "POST", ["v3", "vault", "setup-tokens"]:
                setup = self._id("SETUP")
                return 201, {
                    "id": setup,
                    "links": [{"rel": "approve", "href": f"https://paypal.example/agree/{setup}"}],
                }
            case "POST", ["v3", "vault", "payment-tokens"]:
                method = self.approved_setups.get(body["payment_source"]["token"]["id"])
                return (201, self._method(method)) if method else _issue("TOKEN_NOT_APPROVED")
            case "GET", ["v3", "vault", "payment-tokens", method] if method in self.methods:
                return 200, self._method(method)
            case "DELETE", ["v3", "vault", "payment-tokens", method] if method in self.methods:
                del self.methods[method]
                return 204, {}
            case "POST", ["v2", "checkout", "orders"]:
                return self._order(body)
            case "GET", ["v2", "checkout", "orders", order_id] if order_id in self.orders:
                return 200, self.orders[order_id]
            case "POST", ["v2", "checkout", "orders", order_id, "capture"] if order_id in self.orders:
                return self._capture(self.orders[order_id])
            case "GET", ["v2", "payments", "captures", capture_id] if capture_id in self.captures:
                return 200, self.captures[capture_id]
            case "POST", ["v2", "payments", "captures", capture_id, "refund"] if capture_id in self.captures:
                return self._refund(self.captures[capture_id], body)
            case "GET", ["v1", "reporting", "transactions"]:
                return 200, self._search(request.url.params)
        return 404, {"name": "RESOURCE_NOT_FOUND"}

    def _method(self, method: str) -> dict[str, Any]:
        card = {"brand": "VISA", "last_digits": "4242", "expiry": "2030-12"}
        customer = {"id": "x", "merchant_customer_id": self.customers[method]}
        return {"id": method, "customer": customer, "payment_source": {"card": card}}

    def _order(self, body: dict[str, Any]) -> Answer:
        assert body["intent"] == "CAPTURE"
        wallet = body["payment_source"]["paypal"]
        order: dict[str, Any] = {"id": self._id("ORDER"), "purchase_units": body["purchase_units"]}
        method = wallet.get("vault_id")
        if method is not None and self.methods.get(method) == "declines":
            return _issue("INSTRUMENT_DECLINED")
        if method is not None and method not in self.methods:
            return _issue("TOKEN_ID_NOT_FOUND")
        self.orders[order["id"]] = order
        if method is None or self.methods[method] == "asks":
            assert method or wallet["experience_context"]["return_url"].startswith("https://")
            page = f"https://paypal.example/checkoutnow?token={order['id']}"
            order |= {"status": "PAYER_ACTION_REQUIRED", "links": [{"rel": "payer-action", "href": page}]}
            return 200, order
        order["status"] = "APPROVED"
        return self._capture(order)

    def _capture(self, order: dict[str, Any]) -> Answer:
        if order["status"] != "APPROVED":
            return _issue("ORDER_NOT_APPROVED")
        (unit,) = order["purchase_units"]
        capture = {
            "id": self._id("CAPTURE"), "status": "COMPLETED", "amount": unit["amount"],
            "custom_id": unit["custom_id"], "invoice_id": unit["invoice_id"],
        }  # fmt: skip
        unit["payments"] = {"captures": [capture]}
        order["status"] = "COMPLETED"
        self.captures[capture["id"]] = capture
        self._book("T0006", capture["id"], unit["amount"], custom_field=unit["custom_id"])
        return 201, order

    def _refund(self, capture: dict[str, Any], body: dict[str, Any]) -> Answer:
        given_back = capture.setdefault("given_back", "0")
        total = Decimal(given_back) + Decimal(body["amount"]["value"])
        if total > Decimal(capture["amount"]["value"]):
            return _issue("REFUND_AMOUNT_EXCEEDED")
        capture |= {"given_back": str(total), "status": "PARTIALLY_REFUNDED"}
        refund = {"id": self._id("REFUND"), "status": "COMPLETED", "amount": body["amount"]}
        amount = body["amount"] | {"value": f"-{body['amount']['value']}"}
        self._book("T1107", refund["id"], amount, paypal_reference_id=capture["id"])
        return 201, refund

    def _book(self, code: str, transaction_id: str, amount: dict[str, str], **fields: str) -> None:
        self.transactions.append(
            {
                "transaction_id": transaction_id, "transaction_event_code": code, "transaction_status": "S",
                "transaction_amount": amount,
                "transaction_initiation_date": (datetime.now(UTC) - timedelta(seconds=60)).isoformat(),
            } | fields
        )  # fmt: skip

    def _search(self, params: httpx2.QueryParams) -> dict[str, Any]:
        start, end = datetime.fromisoformat(params["start_date"]), datetime.fromisoformat(params["end_date"])
        assert end - start <= timedelta(days=31)
        size, page = 2, int(params["page"])
        found = [
            each for each in self.transactions
            if start <= datetime.fromisoformat(each["transaction_initiation_date"]) <= end
        ]  # fmt: skip
        shown = found[(page - 1) * size : page * size]
        details = [{"transaction_info": each} for each in shown]
        return {"transaction_details": details, "total_pages": -(-len(found) // size)}

    def _id(self, kind: str) -> str:
        self._count += 1
        return f"{kind}{self._count}"


def _issue(issue: str) -> Answer:
    return 422, {"name": "UNPROCESSABLE_ENTITY", "details": [{"issue": issue}], "debug_id": "f00"}
