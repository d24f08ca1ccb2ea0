"""Service accounts: an access token is asked for once, and goes out instead of the account's key."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs

import orjson
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from omni.contracts.routes import Provider
from omni.gateway.upstream.google_tokens import GoogleTokens
from omni.gateway.upstream.pools import Origins
from omni.kit.errors import DeadlineExceeded, UpstreamFailed
from omni.kit.sealing import credential_place, seal
from tests.gateway.conftest import StartGateway, make_config
from tests.gateway.providers import chat, model, publish, target, whole
from tests.gateway.support import CREDENTIALS_KEY, ControlPlane, FakeBackend, Received, RedisServer

EMAIL = "gateway@acme.iam.gserviceaccount.com"


def account(pem: bytes) -> str:
    row = {"type": "service_account", "client_email": EMAIL, "private_key_id": "k1", "private_key": pem.decode()}
    return orjson.dumps(row | {"token_uri": "http://169.254.169.254/steal"}).decode()


def soon() -> float:
    return asyncio.get_running_loop().time() + 5


def pem_of(key: RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.fixture(scope="module")
def rsa_key() -> RSAPrivateKey:
    return generate_rsa(65537, 2048)


@dataclass
class TokenServer:
    """Where tokens are given out, each with another number."""

    url: str
    server: FakeBackend
    seconds: int = 3600
    status: int = 200
    forms: list[dict[str, list[str]]] = field(default_factory=list)
    models: list[Received] = field(default_factory=list)

    async def answer(self, request: Received, writer: asyncio.StreamWriter) -> None:
        if request.target != "/token":
            self.models.append(request)
            parts = [{"text": "Hello."}]
            candidate = {"content": {"parts": parts}, "finishReason": "STOP"}
            writer.write(whole(orjson.dumps({"candidates": [candidate], "usageMetadata": {"promptTokenCount": 3}})))
            return
        self.forms.append(parse_qs(request.body.decode()))
        row = {"access_token": f"ya29.{len(self.forms)}", "expires_in": self.seconds, "token_type": "Bearer"}
        writer.write(whole(orjson.dumps(row if self.status == 200 else {"error": "invalid_grant"}), self.status))


@pytest_asyncio.fixture
async def token_server() -> AsyncIterator[TokenServer]:
    server = FakeBackend()
    found = TokenServer(await server.start(), server)
    server.handler = found.answer
    yield found
    await server.stop()


@pytest_asyncio.fixture
async def tokens(tmp_path: Path) -> AsyncIterator[GoogleTokens]:
    origins = Origins(make_config("redis://127.0.0.1:1/0", "http://127.0.0.1:1", tmp_path))
    made = GoogleTokens(origins)
    yield made
    made.close()
    origins.close()


async def test_an_exchange_is_signed_and_done_once(
    tokens: GoogleTokens, token_server: TokenServer, rsa_key: RSAPrivateKey
) -> None:
    url, secret = f"{token_server.url}/token", account(pem_of(rsa_key))
    found = await asyncio.gather(*(tokens.token(secret, url, soon()) for _ in range(20)))
    assert set(found) == {"ya29.1"}
    assert await tokens.token(secret, url, soon()) == "ya29.1"
    (form,) = token_server.forms
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    signed, _, signature = form["assertion"][0].rpartition(".")
    rsa_key.public_key().verify(_decoded(signature), signed.encode(), PKCS1v15(), SHA256())
    head, claims = (orjson.loads(_decoded(part)) for part in signed.split("."))
    assert head == {"alg": "RS256", "typ": "JWT", "kid": "k1"}
    assert (claims["iss"], claims["aud"]) == (EMAIL, url)
    assert claims["exp"] - claims["iat"] == 3600


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


async def test_a_token_that_is_about_to_end_is_replaced(
    tokens: GoogleTokens, token_server: TokenServer, rsa_key: RSAPrivateKey
) -> None:
    token_server.seconds = 60
    url, secret = f"{token_server.url}/token", account(pem_of(rsa_key))
    assert [await tokens.token(secret, url, soon()) for _ in range(2)] == ["ya29.1", "ya29.2"]


async def test_a_request_does_not_wait_beyond_its_time(
    tokens: GoogleTokens, token_server: TokenServer, rsa_key: RSAPrivateKey
) -> None:
    async def never(_: Received, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    token_server.server.handler = never
    with pytest.raises(DeadlineExceeded):
        await tokens.token(account(pem_of(rsa_key)), f"{token_server.url}/token", soon() - 4.95)


async def test_a_refusal_is_not_kept(tokens: GoogleTokens, token_server: TokenServer, rsa_key: RSAPrivateKey) -> None:
    token_server.status = 400
    url, secret = f"{token_server.url}/token", account(pem_of(rsa_key))
    with pytest.raises(UpstreamFailed):
        await tokens.token(secret, url, soon())
    token_server.status = 200
    assert await tokens.token(secret, url, soon()) == "ya29.2"


@pytest.mark.parametrize("secret", ["{", "{}", "[]", '{"private_key":5,"client_email":"a"}', '{"private_key":"x"}'])
async def test_what_is_no_account_is_refused_unasked(
    tokens: GoogleTokens, token_server: TokenServer, secret: str
) -> None:
    with pytest.raises(UpstreamFailed):
        await tokens.token(secret, f"{token_server.url}/token", soon())
    assert not token_server.forms


async def test_a_key_of_another_kind_is_refused(tokens: GoogleTokens, token_server: TokenServer) -> None:
    pem = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(UpstreamFailed):
        await tokens.token(account(pem), f"{token_server.url}/token", soon())


async def test_a_request_goes_out_with_the_token_and_without_the_account(
    shared_redis: RedisServer, control: ControlPlane, start_gateway: StartGateway, token_server: TokenServer,
    rsa_key: RSAPrivateKey,
) -> None:  # fmt: skip
    gateway = await start_gateway(shared_redis.url)
    sealed = seal(CREDENTIALS_KEY, account(pem_of(rsa_key)).encode(), credential_place("platform", "vertex"))
    settings = {"project": "acme", "location": "global", "token_url": f"{token_server.url}/token"}
    vertex = Provider("vertex", "vertex", f"{token_server.url}/v1", base64.b64encode(sealed).decode(), settings)
    await publish(control, gateway, [vertex], [model("gemini", target("gemini-3-pro", "vertex"))])
    tenant = await control.tenant()
    for _ in range(2):
        assert (await chat(gateway.ports.public, tenant, "gemini")).status == 200
    assert len(token_server.forms) == 1
    first = token_server.models[0]
    assert first.headers["authorization"] == "Bearer ya29.1"
    assert first.target == "/v1/projects/acme/locations/global/publishers/google/models/gemini-3-pro:generateContent"
    assert "PRIVATE KEY" not in str(first)
    token_server.status = 401
    await publish(control, gateway, [vertex], [model("other", target("gemini-3-pro", "vertex"))])
    assert (await chat(gateway.ports.public, tenant, "other")).status == 200, "a token that is known goes on"
