"""Subscribes by e-mail, with double opt-in, or by webhook; ends subscriptions."""

from __future__ import annotations

import secrets
from datetime import timedelta

from omni.domains.status.contracts import Channel, Language, Subscription
from omni.domains.status.repository.file import StatusFile
from omni.domains.status.repository.subscriptions import DeliveryQueue, SubscriptionStore
from omni.foundation.outbound import OutboundPost, TargetRefused
from omni.foundation.webhooks import secret_text
from omni.kit.clock import Clock
from omni.kit.emails import normalise_email
from omni.kit.errors import Conflict, InvalidInput, LimitExceeded
from omni.kit.ids import uuid7

CONFIRM_WITHIN = timedelta(days=7)
PER_CALLER, CALLER_WINDOW = 10, timedelta(hours=1)
PER_MAILBOX, MAILBOX_WINDOW = 3, timedelta(days=1)
MAX_URL_CHARS = 2_000


class SubscriptionService:
    """Who wants to hear of updates."""

    def __init__(
        self, file: StatusFile, store: SubscriptionStore, queue: DeliveryQueue, outbound: OutboundPost, clock: Clock
    ) -> None:
        self._file = file
        self._store = store
        self._queue = queue
        self._outbound = outbound
        self._clock = clock

    def subscribe_email(self, address: str, language: Language, caller: str) -> None:
        """Queues a mail with a link to confirm. Nobody learns whether the address was known.

        Raises InvalidInput, LimitExceeded.
        """
        try:
            target = normalise_email(address)
        except ValueError:
            raise InvalidInput("invalid_request", "This is not an e-mail address.", param="email") from None
        now = self._clock.now()
        with self._file.transaction():
            self._limit(caller)
            mailbox = f"mail:{target}"
            if self._store.attempts(mailbox, now - MAILBOX_WINDOW) >= PER_MAILBOX:
                return
            self._store.add_attempt(mailbox, now)
            found = self._store.by_target(Channel.EMAIL, target)
            if found is None:
                found = self._new(Channel.EMAIL, target, language, "")
                self._store.add(found)
            if found.confirmed_at is None:
                self._queue.add_question(found.subscription_id, now)

    async def subscribe_webhook(self, url: str, language: Language, caller: str) -> Subscription:
        """The subscription, with the secret that is never shown again. Raises InvalidInput, LimitExceeded, Conflict."""
        if len(url) > MAX_URL_CHARS:
            raise InvalidInput("invalid_request", f"The URL is longer than {MAX_URL_CHARS} characters.", param="url")
        with self._file.transaction():
            self._limit(caller)
        try:
            await self._outbound.check(url)
        except TargetRefused as refused:
            raise InvalidInput("invalid_request", str(refused), param="url") from None
        except (OSError, UnicodeError):
            raise InvalidInput("invalid_request", "The host of the URL was not found.", param="url") from None
        secret = secret_text(secrets.token_bytes(32))
        subscription = self._new(Channel.WEBHOOK, url, language, secret)
        with self._file.transaction():
            if self._store.by_target(Channel.WEBHOOK, url) is not None:
                raise Conflict("already_subscribed", "This URL is subscribed; unsubscribe it first with its link.")
            self._store.add(subscription)
        return subscription

    def find(self, token: str) -> Subscription | None:
        return self._store.by_token(token)

    def confirm(self, token: str) -> Subscription | None:
        """The subscription, None for a link that does not work. Twice is as good as once."""
        found = self._store.by_token(token)
        if found is not None:
            self._store.confirm(found.subscription_id, self._clock.now())
        return found

    def unsubscribe(self, token: str) -> Subscription | None:
        """What was subscribed, None for a link that does not work."""
        found = self._store.by_token(token)
        if found is not None:
            self._store.remove(found.subscription_id)
        return found

    def forget_old(self) -> None:
        """Addresses that were never confirmed, and the counts of the rate limits."""
        now = self._clock.now()
        with self._file.transaction():
            self._store.forget_unconfirmed_before(now - CONFIRM_WITHIN)
            self._store.forget_attempts_before(now - MAILBOX_WINDOW)

    def _limit(self, caller: str) -> None:
        now, who = self._clock.now(), f"from:{caller}"
        if self._store.attempts(who, now - CALLER_WINDOW) >= PER_CALLER:
            raise LimitExceeded(
                "rate_limit_exceeded",
                "Too many subscriptions from this address; try again in an hour.",
                retry_after_seconds=int(CALLER_WINDOW.total_seconds()),
            )
        self._store.add_attempt(who, now)

    def _new(self, channel: Channel, target: str, language: Language, secret: str) -> Subscription:
        now = self._clock.now()
        confirmed_at = now if channel is Channel.WEBHOOK else None
        return Subscription(
            str(uuid7()), channel, target, language, secrets.token_urlsafe(32), secret, now, confirmed_at
        )
