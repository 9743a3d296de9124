"""The bodies of HTML forms: urlencoded fields (WHATWG URL 5.1) and multipart (RFC 7578).

    parse_urlencoded(b"a=1&a=2")                # {"a": [b"1", b"2"]}
    arguments, files = parse_multipart(b"xyz", body)
    body = encode_multipart(b"xyz", {"a": "1"}, {"photo": HTTPFile(...)})

Every fault of the sender raises HTTPInputError, once for a whole body. What is counted or
measured is refused before anything is made of it, and the time taken is linear.
"""
from __future__ import absolute_import, division, print_function

import re

from six.moves.urllib.parse import unquote_to_bytes

from friendserve.escape import parse_qs_bytes, utf8
from friendserve.protocol.errors import HTTPInputError
from friendserve.protocol.grammar import TOKEN_CHARS, find_control, is_content_length
from friendserve.protocol.headers import parse_field_line
from friendserve.util import ObjectDict

__all__ = ["HTTPFile", "MAX_FIELDS", "MAX_FIELD_BYTES", "MAX_PARTS", "MAX_PART_HEADER",
           "encode_multipart", "parse_header_value", "parse_multipart", "parse_urlencoded"]

#: Fields of a query or of an urlencoded body.
MAX_FIELDS = 1000
#: Parts of a multipart body.
MAX_PARTS = 100
#: Bytes of the header of one part.
MAX_PART_HEADER = 10 * 1024
#: Bytes of all parts together that are no files; applications copy and convert these.
MAX_FIELD_BYTES = 10 * 1024 * 1024


class HTTPFile(ObjectDict):
    """An uploaded file: `filename` (text), `body` (bytes) and `content_type`.

    The name is what the sender says, with a path if it likes: never open a file by it. The type
    is "application/unknown" where the sender gives none.
    """


def parse_urlencoded(data, max_fields=MAX_FIELDS):
    """The fields of a query string or an urlencoded body: {name: [value, ...]}.

    `data` and the values are bytes, names native strings. Fields are separated by "&" alone,
    and blank values are kept. Raises HTTPInputError for more than `max_fields`.
    """
    if data.count(b"&") >= max_fields:
        raise HTTPInputError("more than %d arguments" % max_fields)
    return parse_qs_bytes(data, keep_blank_values=True)


# The backslash before the last quote may belong to a name that was not escaped.
_PARAMETER = re.compile(
    r';[ \t]*(?:([%s]+)=(?:"((?:[^"\\]|\\.)*\\?)"[ \t]*|([^";]*)))?(?=;|\Z)' % TOKEN_CHARS)
_QUOTED_PAIR = re.compile(r'\\([\\"])')


def parse_header_value(value):
    """A header value with parameters -> (value, {name: value}), both native strings.

    ``form-data; name="a"`` gives ("form-data", {"name": "a"}); the first value and the names are
    lowered (RFC 9110 5.6.6). In a quoted string only the backslash of ``\\\\`` and ``\\"`` goes
    away: browsers do not escape it, and send "C:\\dir" like that. Raises HTTPInputError for
    malformed parameters and for one that is there twice.
    """
    main = value.partition(";")[0]
    position = len(main)
    parameters = {}
    while position < len(value):
        match = _PARAMETER.match(value, position)
        if match is None:
            raise HTTPInputError("malformed parameters in %r" % value[:80])
        name, quoted, plain = match.groups()
        if name is not None:
            name = name.lower()
            if name in parameters:
                raise HTTPInputError("the parameter %s is there twice in %r"
                                     % (name[:80], value[:80]))
            parameters[name] = (plain.strip(" \t") if quoted is None
                                else _QUOTED_PAIR.sub(r"\1", quoted))
        position = match.end()
    return main.strip(" \t").lower(), parameters


_is_boundary = re.compile(br"[\x20-\x7e]{0,69}[\x21-\x7e]\Z").match
_match_padding = re.compile(br"[ \t]*\r\n").match


def parse_multipart(boundary, data, max_parts=MAX_PARTS, max_part_header=MAX_PART_HEADER,
                    max_field_bytes=MAX_FIELD_BYTES):
    """A multipart/form-data body -> (arguments, files).

    `boundary` is what the Content-Type says, `data` the whole body as bytes. Arguments are
    {name: [bytes, ...]}, files {name: [HTTPFile, ...]}, with native strings for names. A part
    with an empty file name, which browsers send where no file was chosen, is an argument.
    Anything before the first delimiter and after the last is ignored (RFC 2046 5.1.1).

    Raises HTTPInputError for what RFC 7578 and RFC 2046 do not allow, and beyond the limits:
    `max_parts`, `max_part_header` (bytes), `max_field_bytes` (all arguments together).
    """
    boundary = utf8(boundary)
    if not _is_boundary(boundary):
        raise HTTPInputError("a multipart boundary is 1 to 70 ASCII characters, and not %r"
                             % (boundary[:80],))
    parts = _find_parts(b"--" + boundary, data, max_parts)
    arguments = {}
    files = {}
    for start, end in parts:
        # The empty line after the header may follow the delimiter at once, and may be left out
        # before the next delimiter, where there is no content (RFC 2046 5.1.1).
        body = data.find(b"\r\n\r\n", start - 2, min(end, start + max_part_header) + 2) + 4
        if body < 4:
            raise HTTPInputError("a part has no end of its header within %d bytes"
                                 % max_part_header)
        name, filename, content_type = _parse_part_header(data[start:max(start, body - 4)])
        if filename:
            files.setdefault(name, []).append(HTTPFile(
                filename=filename, body=data[body:end], content_type=content_type))
        else:
            max_field_bytes -= len(name) + max(0, end - body)
            if max_field_bytes < 0:
                raise HTTPInputError("the fields of the form are too large")
            arguments.setdefault(name, []).append(data[body:end])
    return arguments, files


def _find_parts(dashed, data, max_parts):
    """[(start, end)] of the parts, each from its header to the line end before a delimiter."""
    parts = []
    delimiter = b"\r\n" + dashed
    # The first delimiter has no line end before it if there is no preamble.
    position = 0 if data.startswith(dashed) else data.find(delimiter) + 2
    if position == 1:
        raise HTTPInputError("the multipart boundary is not in the body")
    position += len(dashed)
    while not data.startswith(b"--", position):
        padding = _match_padding(data, position)
        if padding is None:
            raise HTTPInputError("a multipart boundary is not followed by a line end")
        if len(parts) == max_parts:
            raise HTTPInputError("more than %d parts" % max_parts)
        start = padding.end()
        # The empty line of a part without header may be that of the next delimiter.
        end = data.find(delimiter, start)
        if end < 0:
            raise HTTPInputError("the last boundary of the multipart body is missing")
        parts.append((start, end))
        position = end + len(delimiter)
    return parts


def _parse_part_header(header):
    """The bytes of a part's header -> (name, file name or None, content type)."""
    # One character an octet, as `parse_field_line` wants it.
    text = header if str is bytes else header.decode("latin-1")  # version: py2
    fields = {}
    for line in text.split("\r\n"):
        field, value = parse_field_line(line)
        if field in fields:
            raise HTTPInputError("more than one %s in a part" % field[:80])
        fields[field] = value
    if "Content-Disposition" not in fields:
        raise HTTPInputError("a part has no Content-Disposition")
    if not is_content_length(fields.get("Content-Length", "0")):
        raise HTTPInputError("malformed Content-Length in a part")
    disposition, parameters = parse_header_value(_decode(fields["Content-Disposition"]))
    if disposition != "form-data":
        raise HTTPInputError("a part is %r instead of form-data" % disposition[:80])
    if not parameters.get("name"):
        raise HTTPInputError("a part has no name")
    filename = parameters.get("filename")
    if "filename*" in parameters:
        filename = _parse_extended(parameters["filename*"])
    elif isinstance(filename, bytes):  # version: py2
        filename = _bytes_to_text(filename)
    return parameters["name"], filename, fields.get("Content-Type", "application/unknown")


def _decode(text):
    """Header text with one character an octet -> the native string that was meant."""
    return text if str is bytes else _bytes_to_text(text.encode("latin-1"))  # version: py2


def _bytes_to_text(octets):
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("latin-1")


_is_extended = re.compile(
    r"(?P<charset>utf-8|iso-8859-1)'[A-Za-z0-9-]*'"
    r"(?P<value>(?:[A-Za-z0-9!#$&+.^_`|~-]|%[0-9A-Fa-f]{2})*)\Z", re.IGNORECASE).match


def _parse_extended(value):
    """An ext-value such as ``utf-8''%e2%82%ac.txt`` as text (RFC 8187 3.2.1)."""
    match = _is_extended(value)
    if match is None:
        raise HTTPInputError("malformed filename*, or in another charset than UTF-8: %r"
                             % value[:80])
    octets = unquote_to_bytes(match.group("value"))
    try:
        text = octets.decode(match.group("charset"))
    except UnicodeDecodeError:
        raise HTTPInputError("filename* is not in the charset that it names: %r" % value[:80])
    if find_control(text):
        raise HTTPInputError("control character in a file name")
    return text


_breaks_out = re.compile(u'[\x00-\x1f\x7f"]').search


def encode_multipart(boundary, fields=(), files=()):
    """The bytes of a multipart/form-data body (RFC 7578), with the bytes `boundary`.

    `fields` is a dict or pairs of name and value, `files` of name and HTTPFile, which may lack
    its content_type; a list of values in their place is one part each. Text becomes UTF-8.

    Raises ValueError for a name, file name or type that holds a control character or a quote,
    for it could end its header early, and when the boundary stands in a value.
    """
    parts = []
    for name, value in _each(fields):
        parts.append((_disposition(name), utf8(value)))
    for name, file in _each(files):
        content_type = file.get("content_type") or "application/octet-stream"
        if _breaks_out(_to_text(content_type).replace(u'"', u"")):
            raise ValueError("%r cannot be the content type of a file" % (content_type,))
        parts.append((_disposition(name) + b'; filename="' + _in_quotes(file["filename"])
                      + b'"\r\nContent-Type: ' + utf8(content_type), utf8(file["body"])))
    pieces = []
    for header, value in parts:
        if b"--" + boundary in value:
            raise ValueError("the boundary stands in a value: take another one")
        pieces.append(b"--" + boundary + b"\r\nContent-Disposition: form-data; name=" + header
                      + b"\r\n\r\n" + value + b"\r\n")
    return b"".join(pieces) + b"--" + boundary + b"--\r\n"


def _each(values):
    for name, value in values.items() if hasattr(values, "items") else values:
        for one in value if isinstance(value, list) else [value]:
            yield name, one


def _to_text(value):
    return value.decode("utf-8") if isinstance(value, bytes) else value


def _in_quotes(name):
    if _breaks_out(_to_text(name)):
        raise ValueError("there is a control character or a quote in %r, which is to be the name "
                         "of a field or file" % (name,))
    return utf8(name)


def _disposition(name):
    return b'"' + _in_quotes(name) + b'"'
