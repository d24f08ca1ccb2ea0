"""`omni serve ROLE`."""

from __future__ import annotations

from typing import Annotated

import typer

from omni.apps.cli import roles

app = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, help="Run one process of the platform in the foreground."
)


@app.command()
def serve(role: Annotated[roles.Role, typer.Argument(help="Which process.")]) -> None:
    """Run one process. Its settings come from OMNI_… variables; `omni doctor` lists them."""
    roles.serve(role)
