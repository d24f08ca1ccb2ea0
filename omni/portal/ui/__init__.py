"""What all pages share: design tokens; and those of the console: base template, assets, security policy, charts."""

from pathlib import Path

TOKENS = Path(__file__).parent / "templates"
"""The folder of `tokens.css`, the colours that pages of every process have."""
