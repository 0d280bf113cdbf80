"""``userline schema``."""

from __future__ import annotations

import click

from userline.schema.sdl import print_schema


@click.command()
def schema() -> None:
    """Print the GraphQL schema in the schema definition language."""
    click.echo(print_schema(), nl=False)
