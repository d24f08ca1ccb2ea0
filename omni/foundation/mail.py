"""Mail out: a port, SMTP, and a folder of .eml files when no SMTP server is configured."""

from __future__ import annotations

import asyncio
import os
import smtplib
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from omni.telemetry.local_traces import client_call


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes with a message."""

    name: str
    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Mail:
    """A plain-text message. `message_id` stays the same over retries, so a receiver can tell a duplicate."""

    message_id: str
    to: str
    subject: str
    text: str
    attachments: tuple[Attachment, ...] = ()


class Mailer(Protocol):
    """Sends mail. Raises OSError (smtplib's errors are ones) when it could not be handed over."""

    async def send(self, mail: Mail) -> None: ...


class FileMailer:
    """Writes each message to a folder; a second one with the same id replaces the first."""

    def __init__(self, folder: Path, sender: str) -> None:
        self._folder = folder
        self._sender = sender

    async def send(self, mail: Mail) -> None:
        await asyncio.to_thread(self._write, mail)

    def _write(self, mail: Mail) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        target = self._folder / f"{mail.message_id}.eml"
        temporary = target.with_suffix(".part")
        temporary.write_bytes(_to_message(mail, self._sender).as_bytes())
        os.replace(temporary, target)


class SmtpMailer:
    """Hands messages to an SMTP server: `smtp://user:password@host:587` (STARTTLS) or `smtps://…:465`."""

    def __init__(self, url: str, sender: str, timeout_seconds: float = 10.0) -> None:
        self._url = urlsplit(url)
        self._sender = sender
        self._timeout_seconds = timeout_seconds

    async def send(self, mail: Mail) -> None:
        attributes = {"network.protocol.name": "smtp", "server.address": self._url.hostname or "localhost"}
        with client_call("SMTP send", attributes):
            await asyncio.to_thread(self._deliver, _to_message(mail, self._sender))

    def _deliver(self, message: EmailMessage) -> None:
        host = self._url.hostname or "localhost"
        with self._connect(host) as server:
            if self._url.username and self._url.password:
                server.login(unquote(self._url.username), unquote(self._url.password))
            server.send_message(message)

    def _connect(self, host: str) -> smtplib.SMTP:
        if self._url.scheme == "smtps":
            return smtplib.SMTP_SSL(host, self._url.port or 465, timeout=self._timeout_seconds)
        server = smtplib.SMTP(host, self._url.port or 587, timeout=self._timeout_seconds)
        server.ehlo()
        if server.has_extn("starttls"):
            server.starttls()
        return server


def _to_message(mail: Mail, sender: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = sender
    message["To"] = mail.to
    message["Subject"] = mail.subject
    message["Date"] = formatdate()
    message["Message-ID"] = f"<{mail.message_id}@omni>"
    message.set_content(mail.text)
    for attachment in mail.attachments:
        maintype, _, subtype = attachment.content_type.partition("/")
        message.add_attachment(attachment.content, maintype, subtype, filename=attachment.name)
    return message
