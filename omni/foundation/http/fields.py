"""Field types that request models share."""

from __future__ import annotations

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from omni.kit.emails import normalise_email


class RequestModel(BaseModel):
    """A request body: unknown members are refused, values are not shown in errors."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


def _printable(text: str) -> str:
    if any(unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} for char in text):
        raise ValueError("must not contain control characters")
    return text


EmailAddress = Annotated[str, Field(max_length=254, examples=["ada@example.com"]), AfterValidator(normalise_email)]
"""An e-mail address, normalised."""

Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), AfterValidator(_printable)
]
"""What people call a thing: 1 to 100 printable characters."""

PasswordText = Annotated[
    str, Field(max_length=1024, json_schema_extra={"format": "password"}, examples=["correct horse battery"])
]
"""A password as typed; the rules for new ones are identity's."""

TokenText = Annotated[str, Field(min_length=1, max_length=300)]
"""A token from a mail."""
