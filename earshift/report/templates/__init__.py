"""Sentences of the reports for a terminal, as Jinja templates."""

from pathlib import Path


def render(name: str, **content: object) -> str:
    """A template of this folder with its content, as plain text."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, autoescape=False,
    )  # fmt: skip
    return environment.get_template(name).render(**content)
