"""Annotation files as text: in the encoding that the file declares or marks, else UTF-8, else refused.

No encoding is ever guessed: a name read in the wrong one is another name, and nobody notices.
"""

from __future__ import annotations

import codecs
import re

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_XML_DECLARATION = re.compile(rb"""^\s*<\?xml[^>]{0,200}?\bencoding\s*=\s*["']([A-Za-z0-9._:-]{1,40})["']""")
# Python's codecs that are no character sets, or that depend on the machine.
_NO_CHARACTER_SETS = frozenset(
    {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem"}
)


class UndecodableError(ValueError):
    """Bytes that are not text in the encoding that they should be in; the message says which, and what to do.

    Attributes:
        place: where the first wrong byte is, as "byte 17"; "" where the encoding itself is the fault.
    """

    def __init__(self, message: str, place: str = "") -> None:
        super().__init__(message)
        self.place = place


def decoded(content: bytes, *, xml: bool = False) -> str:
    r"""The text of an annotation file, without its byte order mark.

    Args:
        content: the file.
        xml: a declaration `<?xml ... encoding="..."?>` decides where there is no byte order mark.

    Raises:
        UndecodableError: it is not text in that encoding.

    >>> decoded("caf\u00e9".encode("utf-16"))
    'café'
    >>> decoded(b'<?xml version="1.0" encoding="gb2312"?><a>\xc3\xa8</a>', xml=True)[-8:]
    '<a>猫</a>'
    """
    declared = next((name for mark, name in _MARKS if content.startswith(mark)), None)
    if declared is None and content[:4].count(0) == 2 and len(content) >= 4:
        # No mark, but every second byte of its ASCII beginning is zero: RFC 4627, section 3, on JSON.
        declared = "utf-16-le" if content[1] == 0 else "utf-16-be"
    said = "UTF-8" if declared is None else declared
    if declared is None and xml and (match := _XML_DECLARATION.match(content)):
        said = declared = match[1].decode()
        if not _is_character_set(declared):
            raise UndecodableError(f"declares the unknown encoding {declared!r}; save it as UTF-8")
    try:
        return content.decode(declared or "utf-8")
    except UnicodeDecodeError as error:
        message = f"is not {said} text"
        if declared is None:
            message += ", and the file declares no other encoding"
        raise UndecodableError(f"{message}; save it as UTF-8", f"byte {error.start}") from None


def _is_character_set(name: str) -> bool:
    try:
        codec = codecs.lookup(name)
    except (LookupError, ValueError):
        return False
    return codec.name.replace("-", "_") not in _NO_CHARACTER_SETS and bool(
        getattr(codec, "_is_text_encoding", True)
    )
