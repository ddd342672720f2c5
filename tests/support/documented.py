"""Blocks of commands in the documentation, so that what is tested is what people copy."""

import re

from tests.support.databases import CHECKOUT

_BLOCK = re.compile(r"^```\w+\n(?:--|#) (?P<title>[^\n]+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)


def block(document: str, title: str) -> str:
    """The code block of docs/<document> whose first line is a comment of just this title."""
    blocks = {match["title"]: match["text"] for match in _BLOCK.finditer((CHECKOUT / "docs" / document).read_text())}
    assert title in blocks, f"docs/{document} has the blocks {', '.join(blocks)}"
    return blocks[title]
