"""`omni models`."""

from __future__ import annotations

from typing import Annotated

import httpx2
import typer

from omni.apps.cli.output import JsonFlag, fail, print_rows, run_command, running_settings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


@app.callback()
def group() -> None:
    """Models that the platform serves."""


@app.command("list")
def list_models(
    key: Annotated[str, typer.Option(envvar="OMNI_API_KEY", help="An API key, to ask the gateway with.")],
    json: JsonFlag = False,
) -> None:
    """The models that this key may use."""

    async def work() -> None:
        async with httpx2.AsyncClient(base_url=running_settings().public_url, timeout=10, trust_env=False) as client:
            try:
                answer = await client.get("/v1/models", headers={"Authorization": f"Bearer {key}"})
            except httpx2.TransportError as error:
                fail(f"the gateway cannot be reached: {error}")
                return
        if answer.status_code != 200:
            fail(f"the gateway refused: {answer.text}")
        print_rows(answer.json()["data"], json)

    run_command(work)
