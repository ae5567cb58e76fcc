"""What every page is: one file with its own content security policy, and sections with links to them.

One style sheet by its hash, pictures from inside the file, nothing else: no script, nothing loaded from anywhere.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from boxwright.markup import escape


def shell(title: str, style: str, header: str, sections: Sequence[tuple[str, str, str]], footer: str) -> str:
    """A whole page.

    Args:
        title: as plain text.
        style: the style sheet.
        header: HTML above the sections.
        sections: (anchor, heading, content) of each, the latter two as HTML; those without content are left out.
        footer: HTML below them.

    >>> page = shell("a & b", "p{margin:0}", "<h1>a</h1>", [("x", "X", "<p>1</p>"), ("y", "Y", "")], "end")
    >>> "<title>a &amp; b</title>" in page, 'href="#x"' in page, "#y" in page
    (True, True, False)
    """
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    made = [section for section in sections if section[2]]
    links = "".join(f'<a href="#{anchor}">{heading}</a>' for anchor, heading, _ in made)
    body = "".join(
        f'<section id="{anchor}"><h2>{heading}</h2>{content}</section>' for anchor, heading, content in made
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        f"style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'\">"
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head><body>"
        f"<header>{header}</header><nav>{links}</nav><main>{body}"
        f"<footer>{footer}</footer></main></body></html>\n"
    )
