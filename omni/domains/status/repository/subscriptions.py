"""Who is told of updates, and what still has to be sent to them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from omni.domains.status.contracts import Channel, Delivery, Subscription
from omni.domains.status.repository.file import StatusFile
from omni.kit.ids import uuid7

_COLUMNS = "id, channel, target, language, token, secret, created_at, confirmed_at"


class SubscriptionStore:
    """Callers hold a transaction while they write more than one thing."""

    def __init__(self, file: StatusFile) -> None:
        self._connection = file.connection

    def add(self, subscription: Subscription) -> None:
        self._connection.execute(
            "insert into subscriptions values (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                subscription.subscription_id,
                subscription.channel,
                subscription.target,
                subscription.language,
                subscription.token,
                subscription.secret,
                subscription.created_at.isoformat(),
                subscription.confirmed_at.isoformat() if subscription.confirmed_at else None,
            ),
        )

    def get(self, subscription_id: str) -> Subscription | None:
        return self._one("id", subscription_id)

    def by_token(self, token: str) -> Subscription | None:
        return self._one("token", token)

    def by_target(self, channel: Channel, target: str) -> Subscription | None:
        row = self._connection.execute(
            f"select {_COLUMNS} from subscriptions where channel = ? and target = ?",  # noqa: S608 - constant
            (channel, target),
        ).fetchone()
        return _from_row(row) if row else None

    def confirm(self, subscription_id: str, now: datetime) -> None:
        self._connection.execute(
            "update subscriptions set confirmed_at = coalesce(confirmed_at, ?) where id = ?",
            (now.isoformat(), subscription_id),
        )

    def remove(self, subscription_id: str) -> None:
        """The subscription, and what was still to be sent to it."""
        self._connection.execute("delete from subscriptions where id = ?", (subscription_id,))

    def forget_unconfirmed_before(self, moment: datetime) -> None:
        self._connection.execute(
            "delete from subscriptions where confirmed_at is null and created_at < ?", (moment.isoformat(),)
        )

    def attempts(self, who: str, since: datetime) -> int:
        row = self._connection.execute(
            "select count(*) from subscription_attempts where who = ? and tried_at >= ?", (who, since.isoformat())
        ).fetchone()
        return int(row[0])

    def add_attempt(self, who: str, now: datetime) -> None:
        self._connection.execute("insert into subscription_attempts values (?, ?)", (who, now.isoformat()))

    def forget_attempts_before(self, moment: datetime) -> None:
        self._connection.execute("delete from subscription_attempts where tried_at < ?", (moment.isoformat(),))

    def _one(self, column: str, value: str) -> Subscription | None:
        row = self._connection.execute(
            f"select {_COLUMNS} from subscriptions where {column} = ?",  # noqa: S608 - two names of columns
            (value,),
        ).fetchone()
        return _from_row(row) if row else None


class DeliveryQueue:
    """What still has to be sent. A row goes when it was sent, or given up."""

    def __init__(self, file: StatusFile) -> None:
        self._connection = file.connection

    def add_update(self, incident_id: str, update_id: str, now: datetime) -> None:
        """One for each confirmed subscription. Stands in the transaction of the update itself."""
        found = self._connection.execute("select id from subscriptions where confirmed_at is not null").fetchall()
        self._connection.executemany(
            "insert into deliveries (id, subscription_id, incident_id, update_id, due_at) values (?, ?, ?, ?, ?)",
            [(str(uuid7()), row[0], incident_id, update_id, now.isoformat()) for row in found],
        )

    def add_question(self, subscription_id: str, now: datetime) -> None:
        """The mail that asks whether the address wants to subscribe."""
        self._connection.execute(
            "insert into deliveries (id, subscription_id, due_at) values (?, ?, ?)",
            (str(uuid7()), subscription_id, now.isoformat()),
        )

    def due(self, now: datetime, limit: int) -> list[Delivery]:
        rows = self._connection.execute(
            "select id, subscription_id, incident_id, update_id, attempts, due_at from deliveries "
            "where due_at <= ? order by due_at, id limit ?",
            (now.isoformat(), limit),
        )
        return [Delivery(row[0], row[1], row[2], row[3], row[4], datetime.fromisoformat(row[5])) for row in rows]

    def waiting(self) -> int:
        row = self._connection.execute("select count(*) from deliveries").fetchone()
        return int(row[0])

    def postpone(self, delivery_id: str, due_at: datetime) -> None:
        """Counts an attempt."""
        self._connection.execute(
            "update deliveries set attempts = attempts + 1, due_at = ? where id = ?", (due_at.isoformat(), delivery_id)
        )

    def remove(self, delivery_id: str) -> None:
        self._connection.execute("delete from deliveries where id = ?", (delivery_id,))


def _from_row(row: tuple[Any, ...]) -> Subscription:
    confirmed_at = datetime.fromisoformat(row[7]) if row[7] else None
    return Subscription(
        row[0], Channel(row[1]), row[2], row[3], row[4], row[5], datetime.fromisoformat(row[6]), confirmed_at
    )
