"""Sends what is queued for subscribers, and tries again with growing pauses what failed."""

from __future__ import annotations

import asyncio

import httpx2
import orjson
import structlog

from omni.domains.status.contracts import Channel, Delivery, Incident, Subscription, Update
from omni.domains.status.repository.incidents import IncidentStore
from omni.domains.status.repository.subscriptions import DeliveryQueue, SubscriptionStore
from omni.domains.status.service.overview import OverviewService
from omni.domains.status.shapes import to_api_component, to_api_incident, to_api_page
from omni.domains.status.wording import Wording, load_wordings
from omni.foundation import webhooks
from omni.foundation.mail import Mail, Mailer
from omni.foundation.outbound import OutboundPost, TargetRefused
from omni.foundation.webhooks import GONE, PAUSES
from omni.kit.clock import Clock
from omni.telemetry.traces import Tracing

AT_ONCE = 20

log = structlog.stdlib.get_logger("omni.status")


class DeliveryService:
    """Works through the queue. Nothing is lost when the process ends in between; then something may be sent twice,
    under the same id."""

    def __init__(
        self,
        stores: tuple[SubscriptionStore, DeliveryQueue, IncidentStore],
        overview: OverviewService,
        senders: tuple[Mailer, OutboundPost],
        page_url: str,
        clock: Clock,
        tracing: Tracing,
    ) -> None:
        self._subscriptions, self._queue, self._incidents = stores
        self._overview = overview
        self._mailer, self._outbound = senders
        self._page_url = page_url
        self._clock = clock
        self._tracing = tracing
        self._wordings = load_wordings()

    async def deliver_due(self) -> int:
        """Tries what is due, at most 20; how many were tried."""
        due = self._queue.due(self._clock.now(), AT_ONCE)
        await asyncio.gather(*(self._deliver(delivery) for delivery in due))
        return len(due)

    async def _deliver(self, delivery: Delivery) -> None:
        subscription = self._subscriptions.get(delivery.subscription_id)
        if subscription is None:
            return  # unsubscribed since: its deliveries went with it
        try:
            with self._tracing.task_span("status.deliver", None):
                kept = await self._send(delivery, subscription)
        except (OSError, httpx2.HTTPError, TimeoutError, TargetRefused, _Refused) as error:
            self._failed(delivery, error)
            return
        self._queue.remove(delivery.delivery_id)
        if not kept:
            self._subscriptions.remove(subscription.subscription_id)

    def _failed(self, delivery: Delivery, error: Exception) -> None:
        if delivery.attempts < len(PAUSES):
            self._queue.postpone(delivery.delivery_id, self._clock.now() + PAUSES[delivery.attempts])
            return
        log.warning("delivery_given_up", delivery=delivery.delivery_id, reason=error)
        self._queue.remove(delivery.delivery_id)

    async def _send(self, delivery: Delivery, subscription: Subscription) -> bool:
        """Whether the subscription goes on."""
        wording = self._wordings[subscription.language]
        if delivery.update_id is None:
            await self._mailer.send(self._question(delivery, subscription, wording))
            return True
        incident = self._incidents.get(delivery.incident_id or "")
        updates = incident.updates if incident else ()
        update = next((found for found in updates if found.update_id == delivery.update_id), None)
        if incident is None or update is None:
            return True
        if subscription.channel is Channel.EMAIL:
            await self._mailer.send(self._news(delivery, subscription, incident, update, wording))
            return True
        return await self._post(delivery, subscription, incident)

    def _question(self, delivery: Delivery, subscription: Subscription, wording: Wording) -> Mail:
        link = f"{self._page_url}/subscriptions/{subscription.token}/confirm?lang={wording.language}"
        body = wording.text("mail_confirm_body", target=subscription.target, link=link)
        return Mail(delivery.delivery_id, subscription.target, wording.text("mail_confirm_subject"), body)

    def _news(
        self, delivery: Delivery, subscription: Subscription, incident: Incident, update: Update, wording: Wording
    ) -> Mail:
        names = {component.component_id: component.name for component in self._overview.components}
        affected = ", ".join(names[found] for found in incident.component_ids if found in names)
        status = wording.text(update.status)
        body = wording.text(
            "mail_update_body",
            name=incident.name,
            status=status,
            when=wording.instant(update.created_at),
            body=wording.said(update.body),
            affects=f"{wording.text('affects')}: {affected}\n" if affected else "",
            link=f"{self._page_url}/incidents/{incident.incident_id}?lang={wording.language}",
            unsubscribe=f"{self._page_url}/subscriptions/{subscription.token}/unsubscribe?lang={wording.language}",
        )
        subject = wording.text("mail_update_subject", status=status, name=incident.name)
        return Mail(delivery.delivery_id, subscription.target, subject, body)

    async def _post(self, delivery: Delivery, subscription: Subscription, incident: Incident) -> bool:
        overview = self._overview.overview()
        components = {
            status.component.component_id: to_api_component(
                status.component, place, status.state, status.changed_at or overview.updated_at
            )
            for place, status in enumerate(overview.components, 1)
        }
        document = {
            "meta": {
                "unsubscribe": f"{self._page_url}/subscriptions/{subscription.token}/unsubscribe",
                "generated_at": self._clock.now(),
            },
            "page": {
                **to_api_page(self._page_url, overview.updated_at),
                "status_indicator": overview.indicator,
                "status_description": self._wordings["en"].text(overview.description_key),
            },
            "incident": to_api_incident(incident, self._page_url, components),
        }
        body = orjson.dumps(document)
        timestamp = int(self._clock.now().timestamp())
        headers = webhooks.headers(subscription.secret, delivery.delivery_id, timestamp, body)
        status = await self._outbound.post(subscription.target, body, {**headers, "User-Agent": "Omni-Status"})
        if status != GONE and not 200 <= status < 300:
            raise _Refused(f"HTTP {status}")
        return status != GONE


class _Refused(Exception):
    """The webhook's receiver did not take it."""
