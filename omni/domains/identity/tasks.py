"""Jobs of the identity domain."""

from __future__ import annotations

from datetime import timedelta

from omni.domains.identity import repository, rules, service
from omni.foundation.crypto.secrets import MasterKey
from omni.foundation.db.sessions import Database
from omni.foundation.mail import Mail, Mailer
from omni.foundation.outbox.messages import first_time
from omni.foundation.tasks.task import Delivery, Task
from omni.kit.clock import Clock

FORGET_ENDED = "identity.forget_ended"
FORGET_ENDED_EVERY = timedelta(hours=1)


def tasks(database: Database, mailer: Mailer, master_key: MasterKey, console_url: str, clock: Clock) -> list[Task]:
    """`identity.send_verification(verification_id)` and the hourly `identity.forget_ended()`."""
    secret = service.verification_secret(master_key)

    async def send_verification(delivery: Delivery) -> None:
        """Mails the token, once: what was sent is recorded as it is handed over. Only a crash in between sends it
        again, with the same Message-ID.
        """
        verification_id = delivery.uuid("verification_id")
        async with database.shared() as session:
            user = await repository.open_verification(session, verification_id, clock.now())
            if user is not None and await first_time(session, delivery.message_id):
                token = service.verification_token(secret, verification_id)
                text = _verification_text(token, console_url)
                await mailer.send(Mail(str(delivery.message_id), user.email, "Confirm your e-mail address", text))

    async def forget_ended(_delivery: Delivery) -> None:
        now = clock.now()
        async with database.shared() as session:
            await repository.forget_ended(session, now, now - rules.FORGET_ATTEMPTS)

    return [Task(service.SEND_VERIFICATION, send_verification), Task(FORGET_ENDED, forget_ended)]


def _verification_text(token: str, console_url: str) -> str:
    days = rules.VERIFY_LIFE.days
    return (
        "Welcome to Omni.\n\nTo confirm your e-mail address, send this token to\n"
        f"POST {console_url.rstrip('/')}/api/auth/verify-email\n\n{token}\n\n"
        f"It is good for {days} days. If you did not sign up, ignore this mail.\n"
    )
