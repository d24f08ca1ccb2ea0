"""How a process sends mail."""

from __future__ import annotations

from omni.apps.settings import Settings
from omni.foundation.mail import FileMailer, Mailer, SmtpMailer


def create_mailer(settings: Settings) -> Mailer:
    """SMTP when it is configured, else files."""
    if settings.smtp_url is not None:
        return SmtpMailer(settings.smtp_url.get_secret_value(), settings.mail_from)
    return FileMailer(settings.mail_folder, settings.mail_from)
