"""Sign-up to logout, one case per outcome."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from omni.domains.identity import facade, repository
from omni.domains.identity.contracts import NewUser
from omni.foundation.crypto.passwords import PasswordCost, Passwords
from omni.foundation.db.system_session import SystemDatabase
from omni.foundation.tasks.task import Delivery
from omni.testing.control_plane import ControlPlane
from tests.domains.people import PASSWORD, People, new_email, problem, without_request_id


async def sign_up(people: People, email: str, password: str = PASSWORD) -> None:
    response = await people.client.post(
        "/api/signup", json={"email": email, "password": password, "tenant_name": "Acme"}
    )
    assert response.status_code == 201, response.text


async def test_from_sign_up_over_verification_to_logout(plane: ControlPlane, people: People) -> None:
    email = new_email()
    await sign_up(people, email.upper())
    assert problem(await people.log_in(email)) == (403, "email_not_verified")
    await plane.run_tasks()
    token = plane.mailbox.last_token(email)
    assert token.startswith("omni_verify_")
    assert "POST http://console.test/api/auth/verify-email\n" in plane.mailbox.to(email)[0].text

    assert (await people.client.post("/api/auth/verify-email", json={"token": token})).status_code == 204
    login = (await people.log_in(email)).json()
    assert login["user"]["email"] == email
    assert login["session_token"].startswith("omni_sess_")

    headers = {"authorization": f"Bearer {login['session_token']}"}
    assert (await people.client.get("/api/me", headers=headers)).json()["email"] == email
    assert (await people.client.post("/api/auth/logout", headers=headers)).status_code == 204
    assert problem(await people.client.get("/api/me", headers=headers)) == (401, "not_authenticated")


async def test_a_verification_token_works_once_and_for_two_days(plane: ControlPlane, people: People) -> None:
    email = new_email()
    await sign_up(people, email)
    await plane.run_tasks()
    first = plane.mailbox.last_token(email)
    refused = (400, "invalid_verification_token")
    for wrong in (first[:-1] + ("0" if first[-1] != "0" else "1"), "omni_verify_x", "ünicode", first.upper()):
        assert problem(await people.client.post("/api/auth/verify-email", json={"token": wrong})) == refused

    plane.clock.advance(timedelta(days=2))
    assert problem(await people.client.post("/api/auth/verify-email", json={"token": first})) == refused
    await people.client.post("/api/auth/resend-verification", json={"email": email})
    await plane.run_tasks()
    second = plane.mailbox.last_token(email)
    assert (await people.client.post("/api/auth/verify-email", json={"token": second})).status_code == 204
    assert problem(await people.client.post("/api/auth/verify-email", json={"token": second})) == refused


async def test_resending_answers_alike_and_mails_only_who_waits_for_it(plane: ControlPlane, people: People) -> None:
    unverified, verified, unknown = new_email(), (await people.owner()).email, new_email()
    await sign_up(people, unverified)
    plane.clock.advance(timedelta(minutes=2))
    answers = [
        (response.status_code, response.content)
        for email in (unverified, unverified, verified, unknown)
        for response in [await people.client.post("/api/auth/resend-verification", json={"email": email})]
    ]
    assert set(answers) == {(202, b'{"status":"accepted"}')}
    await plane.run_tasks()
    sent = [len(plane.mailbox.to(email)) for email in (unverified, verified, unknown)]
    assert sent == [2, 0, 0], "one at sign-up, one for the two requests within a minute"


async def test_a_message_that_is_delivered_twice_is_one_mail(plane: ControlPlane, people: People) -> None:
    email = new_email()
    await sign_up(people, email)
    for message in await plane.run_tasks():
        await plane.run_one(message)
    assert len(plane.mailbox.to(email)) == 1


async def test_a_mail_that_could_not_be_sent_is_tried_again(plane: ControlPlane, people: People) -> None:
    email = new_email()
    await sign_up(people, email)
    plane.mailbox.refuse_next()
    with pytest.raises(OSError, match="refused"):
        await plane.run_tasks()
    assert plane.mailbox.to(email) == []
    (message,) = [found for found in plane.delivered if found.task == "identity.send_verification"]
    await plane.run_one(message)
    assert len(plane.mailbox.to(email)) == 1


@pytest.mark.parametrize(
    ("password", "email"),
    [
        ("short", "a@example.com"),
        ("x" * 201, "a@example.com"),
        ("aaaaaaaaaaaaaaaa", "a@example.com"),
        ("Someone@Example.com", "someone@example.com"),
    ],
)
async def test_weak_passwords_are_refused(people: People, password: str, email: str) -> None:
    body = {"email": email, "password": password, "tenant_name": "Acme"}
    response = await people.client.post("/api/signup", json=body)
    assert problem(response) == (400, "weak_password")
    assert password not in response.text


async def test_a_taken_address_is_refused_in_any_spelling(people: People) -> None:
    email = (await people.owner()).email
    body = {"email": f" {email.upper()} ", "password": PASSWORD, "tenant_name": "Acme"}
    assert problem(await people.client.post("/api/signup", json=body)) == (409, "email_taken")


async def test_of_parallel_sign_ups_with_one_address_one_wins(people: People) -> None:
    body = {"email": new_email(), "password": PASSWORD, "tenant_name": "Acme"}
    answers = await asyncio.gather(*(people.client.post("/api/signup", json=body) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 9


@pytest.mark.parametrize("email", ["", "no-at", "a@b@c d", "a@", "@b", "a\x00@b.com", "x" * 300 + "@b.com", "a@-b.com"])
async def test_what_is_no_address_is_refused(people: People, email: str) -> None:
    body = {"email": email, "password": PASSWORD, "tenant_name": "Acme"}
    assert problem(await people.client.post("/api/signup", json=body)) == (400, "invalid_request")


@pytest.mark.parametrize(
    "extra", [{"is_operator": True}, {"tenant_name": "a\x00b"}, {"tenant_name": " "}, {"tenant_name": "x" * 101}]
)
async def test_sign_up_takes_nothing_else(people: People, extra: dict[str, object]) -> None:
    body = {"email": new_email(), "password": PASSWORD, "tenant_name": "Acme", **extra}
    assert problem(await people.client.post("/api/signup", json=body)) == (400, "invalid_request")


async def test_an_unknown_address_and_a_wrong_password_answer_alike(people: People) -> None:
    known, unknown = (await people.owner()).email, new_email()
    for _ in range(5):
        answers = [without_request_id(await people.log_in(email, "not the password")) for email in (known, unknown)]
        assert answers[0] == answers[1]
        assert answers[0][0] == 401
    locked = [await people.log_in(email, "not the password") for email in (known, unknown)]
    assert without_request_id(locked[0]) == without_request_id(locked[1])
    assert problem(locked[0]) == (429, "login_locked")
    assert [answer.headers["retry-after"] for answer in locked] == ["900", "900"]


async def test_an_unknown_address_costs_a_hash_too(
    plane: ControlPlane, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    verify = type(plane.passwords)._verify

    def counting(self: object, password_hash: str, password: str) -> bool:
        seen.append(password_hash.rsplit("$", 2)[0])
        return verify(plane.passwords, password_hash, password)

    monkeypatch.setattr(type(plane.passwords), "_verify", counting)
    for email in ((await people.owner()).email, new_email()):
        await people.log_in(email, "not the password")
    assert len(seen) == 3
    assert len(set(seen)) == 1, "all with the same parameters"


async def test_the_lock_grows_and_ends(plane: ControlPlane, people: People) -> None:
    email = (await people.owner()).email
    for _ in range(5):
        assert problem(await people.log_in(email, "not the password")) == (401, "invalid_credentials")
    assert problem(await people.log_in(email)) == (429, "login_locked"), "the right password is locked out too"
    plane.clock.advance(timedelta(minutes=15))
    assert problem(await people.log_in(email, "not the password")) == (401, "invalid_credentials")
    assert (await people.log_in(email)).headers["retry-after"] == "1800"
    plane.clock.advance(timedelta(minutes=30))
    assert (await people.log_in(email)).status_code == 200
    assert problem(await people.log_in(email, "not the password")) == (401, "invalid_credentials"), "counts anew"


async def test_parallel_guesses_cannot_outrun_the_lock(people: People) -> None:
    email = (await people.owner()).email
    answers = await asyncio.gather(*(people.log_in(email, f"not the password {n}") for n in range(30)))
    assert sorted(answer.status_code for answer in answers) == [401] * 5 + [429] * 25


async def test_a_session_ends_when_idle_and_after_thirty_days(plane: ControlPlane, people: People) -> None:
    idle = await people.owner()
    plane.clock.advance(timedelta(hours=12))
    assert problem(await idle.get("/api/me")) == (401, "not_authenticated")

    busy = await people.owner()
    for _ in range(65):
        assert (await busy.get("/api/me")).status_code == 200
        plane.clock.advance(timedelta(hours=11))
    assert (await busy.get("/api/me")).status_code == 200
    plane.clock.advance(timedelta(hours=11))
    assert problem(await busy.get("/api/me")) == (401, "not_authenticated")


@pytest.mark.parametrize("header", ["", "Bearer ", "Bearer omni_sess_junk", "Basic abc", "Bearer " + "x" * 5000])
async def test_what_is_no_session_is_refused(people: People, header: str) -> None:
    response = await people.client.get("/api/me", headers={"authorization": header} if header else {})
    assert problem(response) == (401, "not_authenticated")


async def test_changing_the_password_ends_other_sessions(people: People) -> None:
    person = await people.owner()
    other = (await people.log_in(person.email)).json()["session_token"]
    new = "a whole other password"
    wrong = {"current_password": "not the password", "new_password": new}
    assert problem(await person.post("/api/auth/change-password", wrong)) == (401, "invalid_credentials")
    weak = {"current_password": PASSWORD, "new_password": person.email}
    assert problem(await person.post("/api/auth/change-password", weak)) == (400, "weak_password")

    right = {"current_password": PASSWORD, "new_password": new}
    assert (await person.post("/api/auth/change-password", right)).status_code == 204
    assert (await person.get("/api/me")).status_code == 200
    ended = await people.client.get("/api/me", headers={"authorization": f"Bearer {other}"})
    assert problem(ended) == (401, "not_authenticated")
    assert problem(await people.log_in(person.email)) == (401, "invalid_credentials")
    assert (await people.log_in(person.email, new)).status_code == 200


async def test_ended_things_are_forgotten(plane: ControlPlane, people: People, system_database: SystemDatabase) -> None:
    await people.owner()
    await people.log_in(new_email(), "not the password")
    plane.clock.advance(timedelta(days=31))
    kept = (await people.loner()).user_id
    await plane.tasks["identity.forget_ended"].body(Delivery(uuid4(), {}))
    async with system_database.session() as session:
        users = await session.all(text("select user_id from login_sessions"))
        attempts = await session.scalar(text("select count(*) from login_attempts"))
    assert [row["user_id"] for row in users] == [kept]
    assert attempts == 0


async def test_an_old_hash_is_made_anew_at_login(plane: ControlPlane, people: People) -> None:
    costly = Passwords(PasswordCost(memory_kib=16, passes=2))
    user = NewUser(new_email(), await costly.hash(PASSWORD), verified=True)
    async with plane.database.shared() as session:
        user_id = await facade.register(session, user, plane.clock.now())
    for _ in range(2):
        assert (await people.log_in(user.email)).status_code == 200
        async with plane.database.shared() as session:
            found = await repository.user_by_id(session, user_id)
        assert found is not None
        assert not plane.passwords.is_outdated(found.password_hash)


async def test_a_strange_client_can_log_in(people: People) -> None:
    owner = await people.owner()
    response = await people.client.post(
        "/api/auth/login",
        json={"email": owner.email, "password": PASSWORD},
        headers={b"user-agent": b"\x01 \xfcn\xefcode " + b"x" * 5000},
    )
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "invalid_request"),
        (b"{", "invalid_json"),
        (b"\xff\xfe", "invalid_json"),
        (b"[]", "invalid_request"),
        (b"null", "invalid_request"),
        (b'{"email": "\\ud800@x.de", "password": "\\ud800", "tenant_name": "\\ud800"}', "invalid_request"),
        (b'{"email": ["a@x.de"], "password": 1, "tenant_name": {}}', "invalid_request"),
        (b"[" * 10_000, "bad_request"),
    ],
)
@pytest.mark.parametrize("path", ["/api/signup", "/api/auth/login", "/api/auth/verify-email"])
async def test_a_broken_body_is_refused(people: People, path: str, content: bytes, code: str) -> None:
    response = await people.client.post(path, content=content, headers={"content-type": "application/json"})
    assert problem(response) == (400, code)
