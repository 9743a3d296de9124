"""Forms with files: multipart/form-data (RFC 7578), piece by piece and as a whole.

    parser = MultipartParser(b"xyz")
    for event in parser.feed(data):         # a Part, then bytes of its content, then PART_END, ...
        ...
    parser.finish()

    arguments, files = parse_multipart(b"xyz", body)
    body = encode_multipart(b"xyz", {"a": "1"}, {"photo": HTTPFile(...)})

Malformed input raises HTTPInputError, and so does input over a limit, before objects are made from
it. The time taken is linear, and the parser holds at most the header of a part and a delimiter.
"""
from __future__ import absolute_import, division, print_function

import collections
import re

from six.moves.urllib.parse import unquote_to_bytes

from friendserve.escape import utf8
from friendserve.protocol.errors import HTTPInputError
from friendserve.protocol.forms import parse_header_value
from friendserve.protocol.grammar import find_control, is_content_length
from friendserve.protocol.headers import parse_field_line
from friendserve.util import ObjectDict

__all__ = ["HTTPFile", "MAX_FIELD_BYTES", "MAX_PARTS", "MAX_PART_HEADER", "MultipartParser",
           "PART_END", "Part", "encode_multipart", "parse_multipart"]

#: The maximum number of parts in a multipart body.
MAX_PARTS = 100
#: The maximum size of the header of one part, in bytes.
MAX_PART_HEADER = 10 * 1024
#: The maximum total size of the parts that are not files, in bytes; applications copy and convert
#: these.
MAX_FIELD_BYTES = 10 * 1024 * 1024

#: The beginning of a part: its name (a native string), file name (text) and content type. A part
#: whose file name is empty or None is a field.
Part = collections.namedtuple("Part", "name filename content_type")

#: The event that ends the content of a part.
PART_END = object()

# Where in a body the parser is: at its start, before the first delimiter, after a delimiter, in the
# header of a part, in its content, after the last delimiter.
_START, _PREAMBLE, _DELIMITER, _HEADER, _CONTENT, _EPILOGUE = (
    "start", "preamble", "delimiter", "header", "content", "epilogue")

_is_boundary = re.compile(br"[\x20-\x7e]{0,69}[\x21-\x7e]\Z").match
_match_padding = re.compile(br"[ \t]*(\r\n)?").match


class HTTPFile(ObjectDict):
    """An uploaded file: `filename` (text), `body` (bytes) and `content_type`.

    The sender chooses the name, which may include a path: never use it to open a file. The type is
    "application/unknown" if the sender does not specify one.
    """


class MultipartParser(object):
    """A parser for a body that arrives in pieces.

    `boundary` is that of the Content-Type. `feed(data)` returns a list: for each part a Part, its
    content as bytes, in any number of pieces, none of them empty, and PART_END. Anything before
    the first delimiter and after the last is ignored (RFC 2046 5.1.1). After an error the parser
    can no longer be used.

    The limits: `max_parts`, `max_part_header` (bytes of one), `max_field_bytes` (of all parts that
    are not files; the caller limits the files).
    """
    __slots__ = ("_delimiter", "_state", "_data", "_max_parts", "_parts", "_max_part_header",
                 "_field_room", "_is_field", "_skip")

    def __init__(self, boundary, max_parts=MAX_PARTS, max_part_header=MAX_PART_HEADER,
                 max_field_bytes=MAX_FIELD_BYTES):
        boundary = utf8(boundary)
        if not _is_boundary(boundary):
            raise HTTPInputError("a multipart boundary must be 1 to 70 ASCII characters, not %r"
                                 % (boundary[:80],))
        self._delimiter = b"\r\n--" + boundary
        self._state = _START
        self._data = b""            # bytes that have not been parsed
        self._max_parts = max_parts
        self._parts = 0             # parts that have begun
        self._max_part_header = max_part_header
        self._field_room = max_field_bytes      # bytes that fields may still have
        self._is_field = False      # whether the current part is a field
        self._skip = 0              # bytes before the content that only a delimiter could use

    def feed(self, data):
        """Parse more bytes of the body; returns the list of events that they complete."""
        events = []
        data = self._data + data
        position = 0
        state = None
        while state is not self._state:
            state = self._state
            position = _STEPS[state](self, data, position, events)
        self._data = data[position:] if position else data
        return events

    def finish(self):
        """End the body. Raises HTTPInputError if its last delimiter has not arrived."""
        if self._state in (_START, _PREAMBLE):
            raise HTTPInputError("the multipart boundary is not in the body")
        if self._state is not _EPILOGUE:
            raise HTTPInputError("the last boundary of the multipart body is missing")

    # The steps, one for each state: each returns the position of the first byte it has not parsed.
    # As long as a step changes the state, the next step follows at once.

    def _take_start(self, data, position, events):
        # The first delimiter has no line end before it if there is no preamble.
        first = self._delimiter[2:]
        if data.startswith(first):
            self._state = _DELIMITER
            return len(first)
        if not first.startswith(data):
            self._state = _PREAMBLE
        return 0

    def _take_preamble(self, data, position, events):
        found = data.find(self._delimiter, position)
        if found < 0:
            return max(position, len(data) - len(self._delimiter) + 1)
        self._state = _DELIMITER
        return found + len(self._delimiter)

    def _take_delimiter(self, data, position, events):
        if data.startswith(b"--", position):
            self._state = _EPILOGUE
            return len(data)
        padding = _match_padding(data, position)
        if padding.group(1) is None:
            # Half of a line end, or one of the two dashes of the last delimiter, may have arrived.
            if data[padding.end():] not in (b"", b"\r") and data[position:] != b"-" \
                    or len(data) - position > self._max_part_header:
                raise HTTPInputError("a multipart boundary is not followed by a line end")
            return position
        if self._parts == self._max_parts:
            raise HTTPInputError("more than %d parts" % self._max_parts)
        self._parts += 1
        self._state = _HEADER
        # The line end may be the first half of the empty line after a header without lines.
        return padding.end() - 2

    def _take_header(self, data, position, events):
        start = position + 2
        # If there is no content, the second half of the empty line may be the line end of a
        # delimiter (RFC 2046 5.1.1).
        end = data.find(b"\r\n\r\n", position, start + self._max_part_header + 2)
        if end < 0 and len(data) < start + self._max_part_header + 2 \
                and data.find(self._delimiter, start) < 0:
            return position
        if end < 0 or data.find(self._delimiter, start, end + len(self._delimiter)) >= 0:
            raise HTTPInputError("the header of a part does not end within %d bytes"
                                 % self._max_part_header)
        part = _parse_part_header(data[start:max(start, end)])
        self._is_field = not part.filename
        if self._is_field:
            self._count(part.name)
        events.append(part)
        self._state = _CONTENT
        self._skip = 2
        return end + 2

    def _take_content(self, data, position, events):
        end = data.find(self._delimiter, position)
        if end >= 0:
            stop = end
            end += len(self._delimiter)
        else:
            # A delimiter begins with "\r"; the last one may be the beginning of a delimiter.
            stop = data.rfind(b"\r", max(position, len(data) - len(self._delimiter) + 1))
            if stop < 0 or not self._delimiter.startswith(data[stop:]):
                stop = len(data)
            if stop == position:
                return position
        content = data[position + self._skip:stop]
        self._skip = 0
        if content:
            if self._is_field:
                self._count(content)
            events.append(content)
        if end < 0:
            return stop
        events.append(PART_END)
        self._state = _DELIMITER
        return end

    def _take_epilogue(self, data, position, events):
        return len(data)

    def _count(self, content):
        self._field_room -= len(content)
        if self._field_room < 0:
            raise HTTPInputError("the fields of the form are too large")


_STEPS = {
    _START: MultipartParser._take_start, _PREAMBLE: MultipartParser._take_preamble,
    _DELIMITER: MultipartParser._take_delimiter,
    _HEADER: MultipartParser._take_header, _CONTENT: MultipartParser._take_content,
    _EPILOGUE: MultipartParser._take_epilogue}


def parse_multipart(boundary, data, max_parts=MAX_PARTS, max_part_header=MAX_PART_HEADER,
                    max_field_bytes=MAX_FIELD_BYTES):
    """A whole multipart/form-data body (bytes) -> (arguments, files).

    Arguments are {name: [bytes, ...]}, files {name: [HTTPFile, ...]}, with native strings for
    names. A part with an empty file name, which browsers send if no file was chosen, is an
    argument. The limits and errors are those of `MultipartParser`.
    """
    parser = MultipartParser(boundary, max_parts, max_part_header, max_field_bytes)
    events = parser.feed(data)
    parser.finish()
    arguments = {}
    files = {}
    part = content = None
    for event in events:
        if type(event) is Part:
            part, content = event, b""
        elif event is not PART_END:
            content = event
        elif part.filename:
            files.setdefault(part.name, []).append(HTTPFile(
                filename=part.filename, body=content, content_type=part.content_type))
        else:
            arguments.setdefault(part.name, []).append(content)
    return arguments, files


def _parse_part_header(header):
    """The bytes of a part's header -> Part."""
    # One character per octet, as `parse_field_line` expects.
    text = header if str is bytes else header.decode("latin-1")  # version: py2
    fields = {}
    if not text:
        raise HTTPInputError("multipart/form-data missing headers in a part")
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
        raise HTTPInputError("multipart/form-data value missing name")
    filename = parameters.get("filename")
    if "filename*" in parameters:
        filename = _parse_extended(parameters["filename*"])
    elif isinstance(filename, bytes):  # version: py2
        filename = _bytes_to_text(filename)
    return Part(parameters["name"], filename, fields.get("Content-Type", "application/unknown"))


def _decode(text):
    """Header text with one character per octet -> the native string that was meant."""
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
        raise HTTPInputError("filename* is malformed, or its charset is not supported: %r"
                             % value[:80])
    octets = unquote_to_bytes(match.group("value"))
    try:
        text = octets.decode(match.group("charset"))
    except UnicodeDecodeError:
        raise HTTPInputError("filename* is not valid in the charset that it names: %r" % value[:80])
    if find_control(text):
        raise HTTPInputError("control character in a file name")
    return text


_breaks_out = re.compile(u'[\x00-\x1f\x7f"]').search


def encode_multipart(boundary, fields=(), files=()):
    """The bytes of a multipart/form-data body (RFC 7578), with the bytes `boundary`.

    `fields` is a dict or pairs of name and value, `files` the same with HTTPFiles, whose
    content_type is optional. A list in place of a value produces one part per item. Text is encoded
    as UTF-8.

    Raises ValueError for a name, file name or type with a control character or a quote, which could
    end its header early, and for a value that contains the boundary.
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
            raise ValueError("a value contains the boundary: choose another one")
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
        raise ValueError("%r cannot be the name of a field or file: it contains a control "
                         "character or a quote" % (name,))
    return utf8(name).replace(b"\\", b"\\\\")


def _disposition(name):
    return b'"' + _in_quotes(name) + b'"'
