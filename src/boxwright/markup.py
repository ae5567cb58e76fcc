"""Text in pages that are read by a browser."""

from __future__ import annotations

import html

from boxwright.errors import printable


def escape(text: str) -> str:
    r"""Text as HTML, in quotes too; control characters, which HTML cannot hold, are shown.

    >>> escape('<b title="\x1b">')
    '&lt;b title=&quot;\\x1b&quot;&gt;'
    """
    return html.escape(printable(text))
