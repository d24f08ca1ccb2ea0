"""Why a training cannot be done."""

from __future__ import annotations


class Refused(Exception):
    """The dataset does not fit the request: a code and a public text."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
