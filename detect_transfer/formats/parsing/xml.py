"""Reading XML files of a data set.

No DTD, no entities, nothing fetched: the standard parser's safe cousin sees to it. It is written in Python, so bytes in
which no declaration can stand go to the standard parser itself, which is the same but four times as fast.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError
from xml.etree.ElementTree import fromstring as parse_plain

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from detect_transfer.core.errors import InputError
from detect_transfer.core.file_signature import file_kind
from detect_transfer.formats.parsing import native

# in other encodings, `<!` may be other bytes
_ENCODING = rb"""encoding\s*=\s*["'](?:utf-8|us-ascii)["']"""
_REMEDY = "the file is cut short, damaged or in another encoding than it declares: write it again"
_PLAIN_HEAD = re.compile(rb"""<[a-z_]|<\?xml\s+version\s*=\s*["']1.0["']\s*(?:%b\s*)?\?>""" % _ENCODING, re.IGNORECASE)


def read_xml(root: Path, name: str, outermost: str) -> Element:
    """Read an XML file of a data set whose outermost element is `outermost`.

    Raises:
        InputError: It is missing, is no regular file, leads out of `root`, is no XML, declares a document type, or
            holds something else.
    """
    path = root / name
    data = native.read_bytes(root, path)
    # tools write a blank line before the declaration, which XML forbids and everybody reads
    text = data.removeprefix(b"\xef\xbb\xbf").lstrip()
    first_line = data[: len(data) - len(text)].count(b"\n")
    try:
        tree: Element = parse_plain(text) if _is_plain(text) else ElementTree.fromstring(text, forbid_dtd=True)
    except DefusedXmlException as error:
        what, remedy = "a document type or entities may not be declared", "remove the declaration"
        raise _not_xml(data, "XML_DTD", what, path, remedy) from error
    except (ParseError, ValueError, LookupError) as error:  # ValueError, LookupError: an encoding nobody knows
        line, column = getattr(error, "position", (1, 0))
        what = f"{str(error).partition(': line')[0]} (column {column + 1})"  # the parser counts the lines of `text`
        raise _not_xml(data, "XML_SYNTAX", what, f"{path}:{line + first_line}", _REMEDY) from error
    if tree.tag != outermost:
        what, remedy = f"the outermost element must be <{outermost}>", "this is a file of another format: move it away"
        where = f"{path}:{1 + first_line}"
        raise InputError("XML_ROOT", what, where=where, field="element", value=tree.tag, remedy=remedy)
    return tree


def require_once(element: Element, tags: Collection[str], where: str) -> None:
    """Check that none of some tags stands twice in an element, where one belongs.

    Raises:
        InputError: One does.
    """
    stated = [child.tag for child in element if child.tag in tags]
    twice = next((tag for i, tag in enumerate(stated) if tag in stated[:i]), None)
    if twice is not None:
        what = "it stands twice, so half of what the file says would be lost"
        raise InputError("XML_TWICE", what, where=where, field=twice, remedy="keep one of them")


def _not_xml(data: bytes, code: str, what: str, where: str | Path, remedy: str) -> InputError:
    """Return the error of a file that is no XML, which says what it is where its first bytes show it."""
    kind = file_kind(data)
    if kind:
        what, remedy = f"the file is {kind[0]}, no XML", kind[1]
    return InputError(code, what, where=where, remedy=remedy)


def _is_plain(text: bytes) -> bool:
    """Tell whether no document type can stand in these bytes: they are of ASCII's kind and hold no `<!`."""
    return b"<!" not in text and b"\0" not in text and _PLAIN_HEAD.match(text) is not None
