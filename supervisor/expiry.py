"""Certificates that are over soon: said in the log when a conf is taken over, then once a day.

Rules only. Nothing is refused for it: a server with an old certificate is better than none, and
clients say what they think of it.
"""

from __future__ import annotations

import logging
import time

from skitaid.supervisor.actions import Action, Log
from skitaid.supervisor.book import Book
from skitaid.supervisor.settings import Settings
from skitaid.workers.settings import Certificate

DAY = 24 * 3600.0  # seconds
SOON = 30 * DAY  # what is left when it is said first: those of 90 days are renewed at that age


def warn(book: Book, now: float) -> list[Action]:
    """What is to be said now, if it was not said today. Afterwards `book.expiry_at` is ahead."""
    tls = book.settings.worker.tls
    if tls is book.expiry_of and (book.expiry_at is None or now < book.expiry_at):
        return []
    book.expiry_of = tls
    book.expiry_at = now + DAY if tls else None
    return [Log(logging.WARNING, each) for each in warnings(book.settings, book.unix(now))]


def warnings(settings: Settings, unix_time: float) -> list[str]:
    """One sentence for each certificate that needs one."""
    tls = settings.worker.tls
    certificates = tls.certificates if tls else ()
    return [_sentence(each, unix_time) for each in certificates if is_due(each, unix_time)]


def is_due(certificate: Certificate, unix_time: float) -> bool:
    """Whether it is time for another one."""
    return certificate.not_after - unix_time < SOON


def _sentence(certificate: Certificate, unix_time: float) -> str:
    days = int(abs(certificate.not_after - unix_time) // DAY)
    date = time.strftime("%Y-%m-%d", time.gmtime(certificate.not_after))
    subject = f"the certificate for {', '.join(certificate.names)} in {certificate.file}"
    if certificate.not_after < unix_time:
        return f"{subject} is over since {date}, so clients refuse it; replace it, and reload"
    return f"{subject} is over in {days} days, on {date}; replace it, and reload"
