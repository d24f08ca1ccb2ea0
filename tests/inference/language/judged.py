"""A small judged set for ranking, written by hand: passages of a support desk, and which of them answer a question."""

from __future__ import annotations

import math
from collections.abc import Sequence

PASSAGES = (
    "Invoices are issued on the first day of each month and are due within thirty days.",
    "Error E-4031 means that the access token has expired. Request a new one from the login service.",
    "Error E-4032 means that the account is suspended. Contact your administrator.",
    "Error E-5100 is returned when the storage node cannot be reached.",
    "To change your password, open the security page of your profile and choose a new one.",
    "Refunds are paid to the original card within five working days after the goods come back.",
    "The premium plan includes 500 GB of storage and support by telephone.",
    "The basic plan includes 50 GB of storage and support by e-mail only.",
    "Our office in Ljubljana is open from Monday to Friday between nine and five.",
    "The warehouse in Maribor ships orders every working day before noon.",
    "Backups run at two in the morning and are kept for thirty days.",
    "Deleted files stay in the bin for fourteen days and can be put back from there.",
    "The battery of the MX-200 lasts eleven hours and charges in ninety minutes.",
    "The battery of the MX-300 lasts eighteen hours and charges in two hours.",
    "Hold the power button for ten seconds to bring the device back to factory settings.",
    "Clean the lens with a dry cloth; never use alcohol on the coating.",
    "Employees have twenty-five days of paid leave in a calendar year.",
    "Leave that is not used by the end of March of the next year is lost.",
    "Sick leave of more than three days needs a note from a doctor.",
    "Travel by train is reimbursed in second class; taxis need approval beforehand.",
    "The API allows 600 requests a minute for each key; further ones get status 429.",
    "Webhooks are repeated for three days with growing pauses when your server does not answer.",
    "All data at rest is encrypted with AES-256; keys are rotated once a year.",
    "Data of customers in the European Union never leaves data centres in Frankfurt and Dublin.",
    "Version 3.2 drops support for Python 3.9.",
    "Version 3.4 adds streaming uploads and fixes the memory leak of the parser.",
    "The parser accepts CSV files of up to two gigabytes.",
    "Two-factor authentication can be turned on with any authenticator app.",
    "The contract may be ended by either side with sixty days of written notice.",
    "A late payment carries interest of eight percent a year.",
    "The warranty covers defects of manufacture for two years, but no damage by water.",
    "Children under twelve travel free when they are with an adult.",
)  # fmt: skip

QUESTIONS: tuple[tuple[str, frozenset[int]], ...] = (
    ("E-4031", frozenset({1})),
    ("what does E-5100 mean", frozenset({3})),
    ("my login is no longer valid", frozenset({1})),
    ("how do I get my money back", frozenset({5})),
    ("how long does the MX-300 run without power", frozenset({13})),
    ("MX-200 charging time", frozenset({12})),
    ("reset the gadget to its original state", frozenset({14})),
    ("recover a document I removed by accident", frozenset({11})),
    ("how many holidays do staff get", frozenset({16})),
    ("what happens to unused vacation", frozenset({17})),
    ("rate limit", frozenset({20})),
    ("status 429", frozenset({20})),
    ("where is personal information of Europeans stored", frozenset({23})),
    ("Python 3.9", frozenset({24})),
    ("memory leak fixed in which release", frozenset({25})),
    ("cancel the agreement", frozenset({28})),
    ("penalty when a bill is not paid in time", frozenset({29})),
    ("when must a bill be paid", frozenset({0})),
    ("opening hours", frozenset({8})),
    ("is water damage insured", frozenset({30})),
    ("which subscription has phone support", frozenset({6})),
    ("largest file that can be imported", frozenset({26})),
    ("doctor's certificate", frozenset({18})),
    ("AES-256", frozenset({22})),
    ("can I take a cab on a business trip", frozenset({19})),
    ("second factor for signing in", frozenset({27})),
    ("how often is delivery of an event retried", frozenset({21})),
    ("nightly copy of the data", frozenset({10})),
)


def mean_reciprocal_rank(rankings: Sequence[Sequence[int]]) -> float:
    """Of rankings in the order of QUESTIONS: the mean of 1 / place of the first passage that answers."""
    return math.fsum(
        1 / (1 + next(place for place, index in enumerate(ranking) if index in relevant))
        for ranking, (_, relevant) in zip(rankings, QUESTIONS, strict=True)
    ) / len(QUESTIONS)
