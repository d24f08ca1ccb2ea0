"""The object store and mail."""

from __future__ import annotations

import asyncio
from email import message_from_bytes, policy
from pathlib import Path
from uuid import uuid4

import pytest

from omni.foundation.mail import FileMailer, Mail, SmtpMailer
from omni.foundation.objects import ObjectStore
from omni.kit.errors import NotFound


@pytest.mark.parametrize("kind", ["folder", "memory"])
async def test_objects_belong_to_their_tenant(kind: str, tmp_path: Path) -> None:
    store = ObjectStore(f"file://{tmp_path}/objects" if kind == "folder" else "memory:///")
    mine, other = uuid4(), uuid4()
    await store.put(mine, "documents/a.pdf", b"one")
    await store.put(mine, "documents/a.pdf", b"two")
    assert await store.get(mine, "documents/a.pdf") == b"two"
    with pytest.raises(NotFound):
        await store.get(other, "documents/a.pdf")
    await store.delete(mine, "documents/a.pdf")
    await store.delete(mine, "documents/a.pdf")
    with pytest.raises(NotFound):
        await store.get(mine, "documents/a.pdf")


@pytest.mark.parametrize("name", ["", "../x", "a/../../b", "/etc/passwd", "a//b", "."])
async def test_names_cannot_climb(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not an object name"):
        await ObjectStore(f"file://{tmp_path}").put(uuid4(), name, b"")


async def test_mail_goes_to_a_file_once(tmp_path: Path) -> None:
    mailer = FileMailer(tmp_path / "mail", "Omni <omni@localhost>")
    for _ in range(2):
        await mailer.send(Mail("id-1", "ana@example.com", "Živjo", "Besedilo čez vrstico."))
    (file,) = (tmp_path / "mail").iterdir()
    message = message_from_bytes(file.read_bytes(), policy=policy.default)
    body = message.get_body()
    assert body is not None
    assert (message["To"], message["Subject"]) == ("ana@example.com", "Živjo")
    assert body.get_content().strip() == "Besedilo čez vrstico."


async def test_mail_goes_over_smtp() -> None:
    received: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 test\r\n")
        in_data = False
        while line := (await reader.readline()).decode():
            received.append(line.rstrip())
            verb = line.strip().upper()
            if in_data:
                in_data = verb != "."
                if not in_data:
                    writer.write(b"250 taken\r\n")
            elif verb == "DATA":
                in_data = True
                writer.write(b"354 go on\r\n")
            elif verb == "QUIT":
                writer.write(b"221 bye\r\n")
                break
            else:
                writer.write(b"250 fine\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await SmtpMailer(f"smtp://127.0.0.1:{port}", "omni@localhost").send(Mail("id-2", "bo@example.com", "Hello", "Text"))
    server.close()
    assert "rcpt to:<bo@example.com>" in [line.lower() for line in received]
    assert "Message-ID: <id-2@omni>" in received


async def test_a_dead_smtp_server_is_an_error() -> None:
    with pytest.raises(OSError, match="refused"):
        await SmtpMailer("smtp://127.0.0.1:1", "x@localhost").send(Mail("id-3", "x@example.com", "s", "t"))
