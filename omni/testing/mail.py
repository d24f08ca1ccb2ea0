"""A mailer that keeps what it sends."""

from __future__ import annotations

import re

from omni.foundation.mail import Mail


class MailBox:
    """The in-memory twin of the mailers."""

    def __init__(self) -> None:
        self.sent: list[Mail] = []
        self._refusals = 0

    async def send(self, mail: Mail) -> None:
        if self._refusals:
            self._refusals -= 1
            raise OSError("the mail server refused")
        self.sent.append(mail)

    def refuse_next(self) -> None:
        """The next mail fails like a mail server that is away."""
        self._refusals += 1

    def to(self, email: str) -> list[Mail]:
        """What was sent to an address, in order."""
        return [mail for mail in self.sent if mail.to == email]

    def last_token(self, email: str) -> str:
        """The token on a line of its own in the last mail to an address."""
        found = re.findall(r"^(omni_\w+)$", self.to(email)[-1].text, re.MULTILINE)
        assert len(found) == 1, self.to(email)[-1].text
        return str(found[0])
