"""What logs and error trackers are told of an exception: where it came from, and no text that may repeat what a caller
sent. The texts of our own errors are written for logs; those of others, a database's or a parser's, quote values."""

from __future__ import annotations

import traceback
from collections.abc import Iterator

from omni.kit.errors import OmniError


def plain(error: BaseException, *, with_text: bool = False) -> str:
    """One line: our own error's code and internal text, else the class; `with_text` of the others, too."""
    if isinstance(error, OmniError):
        return f"{type(error).__name__} {error.code}: {error.internal or error.message}"
    return repr(error) if with_text else type(error).__qualname__


def chain(error: BaseException) -> Iterator[tuple[BaseException, str]]:
    """The error and what it came from, the first cause first; with what Python says between them and the one before."""
    found: list[tuple[BaseException, str]] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        if current.__cause__ is not None:
            before, said = current.__cause__, "The above exception was the direct cause of the following exception:"
        elif current.__context__ is not None and not current.__suppress_context__:
            before, said = current.__context__, "During handling of the above exception, another exception occurred:"
        else:
            before, said = None, ""
        found.append((current, said))
        current = before
    return reversed(found)


def traceback_text(error: BaseException, *, with_text: bool = False) -> str:
    """As Python prints it, with `plain` in the place of the texts. Source lines are the program's own."""
    lines: list[str] = []
    for each, said in chain(error):
        lines += [f"\n{said}\n\n"] if said else []
        lines += ["Traceback (most recent call last):\n", *traceback.format_tb(each.__traceback__)]
        lines.append(f"{plain(each, with_text=with_text)}\n")
    return "".join(lines).rstrip("\n")
