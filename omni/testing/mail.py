"""A mailer that keeps what it sends."""

from __future__ import annotations

import re

from omni.foundation.mail import Mail


class MailBox:
    """The in-memory twin of the mailers."""

    def __init__(self) -> None:
        self.sent: list[Mail] = []

    async def send(self, mail: Mail) -> None:
        self.sent.append(mail)

    def to(self, email: str) -> list[Mail]:
        """What was sent to an address, in order."""
        return [mail for mail in self.sent if mail.to == email]

    def last_token(self, email: str) -> str:
        """The token on a line of its own in the last mail to an address."""
        found = re.findall(r"^(omni_\w+)$", self.to(email)[-1].text, re.MULTILINE)
        assert len(found) == 1, self.to(email)[-1].text
        return str(found[0])
