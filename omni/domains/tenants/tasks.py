"""Jobs of the tenants domain."""

from __future__ import annotations

from redis.asyncio import Redis

from omni.domains.tenants import repository, rules
from omni.domains.tenants.service import invitations, snapshots
from omni.foundation.crypto.secrets import MasterKey
from omni.foundation.db.sessions import Database
from omni.foundation.mail import Mail, Mailer
from omni.foundation.outbox.messages import first_time
from omni.foundation.tasks.task import Delivery, Task
from omni.kit.clock import Clock


def tasks(
    database: Database, redis: Redis, mailer: Mailer, master_key: MasterKey, console_url: str, clock: Clock
) -> list[Task]:
    """`tenants.publish_snapshot(tenant_id)`, `tenants.forget_answers(tenant_id)`,
    `tenants.send_invitation(tenant_id, invitation_id)`."""
    secret = invitations.invitation_secret(master_key)

    async def publish_snapshot(delivery: Delivery) -> None:
        async with database.write(delivery.uuid("tenant_id")) as session:
            await snapshots.publish_snapshot(session, redis)

    async def forget_answers(delivery: Delivery) -> None:
        await snapshots.forget_answers(delivery.uuid("tenant_id"), redis)

    async def send_invitation(delivery: Delivery) -> None:
        """Mails the token, once: what was sent is recorded as it is handed over. Only a crash in between sends it
        again, with the same Message-ID.
        """
        tenant_id, invitation_id = delivery.uuid("tenant_id"), delivery.uuid("invitation_id")
        async with database.write(tenant_id) as session:
            tenant = await repository.tenant(session)
            invitation = await repository.pending_invitation(session, invitation_id, clock.now())
            if tenant is None or invitation is None or not await first_time(session, delivery.message_id):
                return
            token = invitations.invitation_token(secret, tenant_id, invitation_id)
            text = _invitation_text(tenant.name, str(invitation.role), token, console_url)
            await mailer.send(Mail(str(delivery.message_id), invitation.email, f"Join {tenant.name} on Omni", text))

    return [
        Task(snapshots.PUBLISH_SNAPSHOT, publish_snapshot),
        Task(snapshots.FORGET_ANSWERS, forget_answers),
        Task(invitations.SEND_INVITATION, send_invitation),
    ]


def _invitation_text(tenant_name: str, role: str, token: str, console_url: str) -> str:
    return (
        f"You are invited to join {tenant_name} as {role}.\n\n"
        "Log in, or sign up with this address, and send this token to\n"
        f"POST {console_url.rstrip('/')}/api/invitations/accept\n\n{token}\n\n"
        f"It is good for {rules.INVITE_LIFE.days} days.\n"
    )
