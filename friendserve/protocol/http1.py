"""HTTP/1.x (RFC 9112) as functions from bytes to values and back.

Nothing here reads or waits. A connection collects the bytes up to the empty line, has
`read_request_head` parse them and work out where the body ends, feeds the body to a `MessageBody`
(`friendserve.protocol.http1body`), and tracks the state of the exchange with the table `MOVES`.
"""
from __future__ import absolute_import, division, print_function

import operator
import re

import six

from friendserve.protocol.errors import HTTPInputError, HTTPOutputError
from friendserve.protocol.grammar import (
    is_host, is_token, match_request_line, match_status_line, split_list)
from friendserve.protocol.headers import (
    NAMES, REQUEST, RESPONSE, HTTPHeaders, check_framing, may_be_remembered, parse_fields)
from friendserve.util import IS_PYPY, comes_again, remember

#: The states of a server's side of an exchange. IDLE: the head of the next request is not complete.
#: HEAD: it is complete, and waits in the loop's queue. BODY: the head is parsed, the body is being
#: read. RESPONDING: the request is complete, the response is not. DONE: the response is complete,
#: but not all of it was sent. CLOSING: nothing more is parsed; bytes that still arrive are
#: discarded. UPGRADED: the stream was handed over to another protocol.
IDLE, HEAD, BODY, RESPONDING, DONE, CLOSING, UPGRADED = (
    "idle", "head", "body", "responding", "done", "closing", "upgraded")

#: (from, to) -> to, for every legal move; any other is a KeyError, and a bug.
MOVES = dict(((old, new), new) for old, news in {
    IDLE: (HEAD, CLOSING),
    HEAD: (BODY, RESPONDING, CLOSING),
    BODY: (RESPONDING, CLOSING, UPGRADED),
    RESPONDING: (DONE, CLOSING, UPGRADED),
    DONE: (IDLE, CLOSING),
    CLOSING: (CLOSING,),
    UPGRADED: (),
}.items() for new in news)

#: The maximum number of 1xx responses before the final one.
MAX_INTERIM_RESPONSES = 10

#: The maximum number of header lines, or of trailer lines, of a response. The bytes of the head
#: have a limit too; this one bounds what many short lines make of them.
MAX_RESPONSE_FIELDS = 5000

#: Up to this many empty lines before a request line are skipped (RFC 9112 2.2).
MAX_EMPTY_LINES = 8

#: The results of `body_length` for a body whose length is not announced.
CHUNKED = "chunked"
UNTIL_CLOSE = "until close"

_fold = re.compile(r"(?:\r\n[ \t]+)+")

find_bare_line_feed = re.compile(br"[^\r]\n").search

_CONTROLS = bytes(bytearray(list(range(32)) + [127]))
_NOT_PLAIN = _CONTROLS + bytes(bytearray(range(128, 256)))

#: The methods that requests usually have; others are made up by clients, or rare.
COMMON_METHODS = frozenset(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])

_to_native = str if str is bytes else operator.methodcaller("decode", "latin-1")  # version: py2
_to_wire = str if str is bytes else operator.methodcaller("encode", "latin-1")  # version: py2


def parse_request_head(head, max_line=8192, max_fields=100):
    """The bytes of a request head -> (method, target, version, HTTPHeaders).

    `head` ends with the empty line; empty lines before it are skipped (RFC 9112 2.2). `target`
    is in origin-form or "*": the authority of an absolute-form target has replaced the
    Host header (RFC 9112 3.2.2), so there is only one host to trust. `version` is "HTTP/1.0"
    or "HTTP/1.1". Raises HTTPInputError with the status for the response.
    """
    lines = _to_native(head).split("\r\n")
    del lines[-2:]
    if not (lines and lines[0]):
        lines = _skip_empty_lines(lines)
    line = lines.pop(0)
    if len(line) > max_line:
        raise HTTPInputError("request line longer than %d bytes" % max_line, 414)
    method, target, version = _parse_request_line(line)
    headers = parse_fields(lines, max_fields, REQUEST)
    if "Host" not in headers._values and version != "HTTP/1.0":
        raise HTTPInputError("no Host header in an HTTP/1.1 request")
    if target[0] != "/":
        target = _resolve_target(method, target, headers)
    return method, target, version, headers


def _skip_empty_lines(lines):
    for number, line in enumerate(lines):
        if number > MAX_EMPTY_LINES:
            break
        if line:
            return lines[number:]
    raise HTTPInputError("only empty lines, or more than %d of them before the request line"
                         % MAX_EMPTY_LINES)


def _parse_request_line(line):
    match = match_request_line(line)
    if match is None:
        raise HTTPInputError("malformed request line %r" % line[:80])
    method, target, major, minor = match.groups()
    if major != "1":
        raise HTTPInputError("HTTP/%s.%s is not supported, only HTTP/1.1" % (major, minor), 505)
    # A later minor version is answered as the highest one known (RFC 9110 2.5).
    return method, target, "HTTP/1.0" if minor == "0" else "HTTP/1.1"


def _resolve_target(method, target, headers):
    """The origin-form of a target in one of the other three forms (RFC 9112 3.2)."""
    if method == "CONNECT":
        raise HTTPInputError("CONNECT is only for proxies", 405)
    if target == "*" and method == "OPTIONS":
        return target
    scheme, separator, rest = target.partition("://")
    if not separator or scheme.lower() not in ("http", "https"):
        raise HTTPInputError("malformed request target %r: it must begin with / or http://"
                             % target[:80])
    for end, char in enumerate(rest):
        if char in "/?#":
            break
    else:
        end = len(rest)
    authority, path = rest[:end], rest[end:]
    if not authority or not is_host(authority):
        raise HTTPInputError("malformed authority in request target %r" % target[:80])
    headers["Host"] = authority
    return path if path.startswith("/") else "/" + path


def count_empty_lines(data):
    """The number of empty lines at the beginning of `data`, at most one more than the limit."""
    count = 0
    while count <= MAX_EMPTY_LINES and data.startswith(b"\r\n", 2 * count):
        count += 1
    return count


def check_partial_head(start, rest, max_line=8192):
    """Refuse the beginning of a head that cannot become valid, whatever follows.

    `start` holds the first bytes of the head (at least `max_line` + 2 of them, if that many have
    arrived), `rest` the bytes that were not checked before and the three that precede them. Without
    this, a connection would wait until its time limit for a peer that speaks another protocol or
    ends its lines with a bare line feed. Raises HTTPInputError, or returns None.
    """
    if find_bare_line_feed(rest):
        raise HTTPInputError("a line of the head ends without a carriage return")
    skip = count_empty_lines(start)
    if skip > MAX_EMPTY_LINES:
        raise HTTPInputError("more than %d empty lines before the request line" % MAX_EMPTY_LINES)
    line, end, _ = start[2 * skip:].partition(b"\r\n")
    # The last byte may be the first half of the line end.
    if len(line) > max_line + (not end and line.endswith(b"\r")):
        raise HTTPInputError("request line longer than %d bytes" % max_line, 414)
    if end:
        _parse_request_line(_to_native(line))
    elif line.strip(b"\r") and not is_token(_to_native(line[:32].partition(b" ")[0])):
        raise HTTPInputError("not an HTTP request: %r" % line[:32])


def find_response_end(data, searched=0):
    """The position after the empty line that ends the head of a response in `data`, or -1.

    `data` is bytes or a ReadBuffer; its first `searched` bytes have already been searched. Lines
    may end in a bare line feed (RFC 9112 2.2).
    """
    start = max(0, searched - 2)
    end = data.find(b"\n\r\n", start)
    bare = data.find(b"\n\n", start) if end < 0 else data.find(b"\n\n", start, end)
    return bare + 2 if bare >= 0 else end + 3 if end >= 0 else -1


def parse_response_head(head, max_fields=MAX_RESPONSE_FIELDS):
    """The bytes of a response head -> (version, status, reason, HTTPHeaders).

    For the sake of existing servers, this parser is tolerant where RFC 9112 allows it: lines may
    end in a bare line feed (2.2), a field may continue on the next line (5.2), the reason may be
    missing (4), and so on for fields (`headers.parse_response_field_line`). What frames the body is
    checked as in a request. Raises HTTPInputError.
    """
    text = _to_native(head)
    lines = text.split("\r\n")
    are_clean = len(head.translate(None, _CONTROLS)) == len(head) - 2 * len(lines) + 2
    if not are_clean or "\n " in text or "\n\t" in text:
        text = text.replace("\r\n", "\n").replace("\n", "\r\n")
        lines = _fold.sub(" ", text).split("\r\n")
    del lines[-2:]
    match = match_status_line(lines.pop(0)) if lines else None
    if match is None or match.group(1) != "1":
        raise HTTPInputError("malformed status line %r" % _to_native(head[:80]))
    _, minor, status, reason = match.groups()
    version = "HTTP/1.0" if minor == "0" else "HTTP/1.1"
    return version, int(status), reason or "", parse_fields(lines, max_fields, RESPONSE, are_clean)


def body_length(headers, version, status=None, method=None):
    """The length of a message body: a number of bytes, CHUNKED or UNTIL_CLOSE.

    RFC 9112 6.3, for both roles: `status` is None for a request; for a response, `method` is that
    of the request it answers. Raises HTTPInputError for headers that contradict each other.
    """
    values = headers._values
    if status is not None:
        if (status < 200 or status == 204) and (
                "Transfer-Encoding" in values or int(values.get("Content-Length", 0))):
            raise HTTPInputError("a response %d must not have a body" % status)
        if status < 200 or status in (204, 304) or method == "HEAD" or (
                method == "CONNECT" and status < 300):
            return 0
    if "Transfer-Encoding" in values:
        if "Content-Length" in values:
            raise HTTPInputError("both Transfer-Encoding and Content-Length")
        if version == "HTTP/1.0":
            raise HTTPInputError("Transfer-Encoding in an HTTP/1.0 message")
        return CHUNKED
    if "Content-Length" in values:
        return int(values["Content-Length"])
    return 0 if status is None else UNTIL_CLOSE


def wants_keep_alive(headers, version):
    """Whether the sender of this head wants to keep the connection open (RFC 9112 9.3)."""
    connection = headers._values.get("Connection")
    if connection is None:
        return version != "HTTP/1.0"
    if connection == "keep-alive":
        return True
    options = split_list(headers["Connection"])
    return "close" not in options and (version != "HTTP/1.0" or "keep-alive" in options)


# A program that repeats a request sends the same head again, so heads that arrive for the second
# time are remembered. (The first time only their hash is kept: most heads never come back.) None
# that may hold a secret is: one with a query, be it that of a Referer, or with a field of `SECRETS`
# other than a Cookie, which is cut out.
_heads = {}
_seen = set()
# Valid values of Host.
_hosts = set()
_HOST_LENGTH = 260
# Entries in each memo; and bytes and fields of a head that is remembered.
_HEADS = 500
_HEAD_LENGTH = 1024
_HEAD_FIELDS = 40

_new_headers = HTTPHeaders.__new__


def read_request_head(head, max_line=8192, max_fields=100):
    """Everything in a request head: (method, target, version, HTTPHeaders, `body_length`,
    `wants_keep_alive`). The arguments and errors are those of `parse_request_head`."""
    rest = cookie = None
    # A remembered head may have been checked against other limits, but is well within these.
    if head.find(b"?") < 0 and max_line >= _HEAD_LENGTH and max_fields > _HEAD_FIELDS:
        rest = head
        start = head.find(b"\r\nCookie: ")
        # After empty lines it could precede the request line, where it is not allowed.
        if start > 0 and head[:1] != b"\r":
            end = head.find(b"\r\n", start + 2)
            rest, cookie = head[:start] + head[end:], head[start + 10:end]
        known = _heads.get(rest)
        if known is not None and (
                cookie is None or cookie == cookie.translate(None, _CONTROLS)):
            method, target, version, values, length, keep_alive = known
            # As `HTTPHeaders.from_values`, without a call: most requests take this path.
            headers = _new_headers(HTTPHeaders)
            headers._values = values = values.copy()
            if cookie is not None:
                values["Cookie"] = _to_native(cookie).strip(" ")
            return method, target, version, headers, length, keep_alive
    # Most heads differ from all others, but are plain: one pass shows that nothing is wrong with
    # them. The strict parser reads those that are not, and finds out whether they are wrong.
    values = {}
    try:
        if _SCANS:
            line, count = _scan_plain_head(head, values)
        else:
            text = head if str is bytes else head.decode("latin-1")  # version: py2
            lines = text.split("\r\n")
            line, count = lines[0], len(lines) - 3
            for field in lines[1:-2]:
                name, colon, value = field.partition(":")
                if not colon:
                    raise ValueError(field)
                values[NAMES[name]] = value.strip()
            # In ASCII, without a control character but for those of the line ends. So only spaces
            # were stripped.
            if len(head.translate(None, _NOT_PLAIN)) != len(head) - 2 * count - 4:
                raise ValueError(head)
        method, target, version = line.split(" ")
        host = values["Host"]
        is_plain = (
            method in COMMON_METHODS and version == "HTTP/1.1" and target[:1] == "/"
            and (host in _hosts or _remember_host(host))
            and len(values) == count <= max_fields and len(line) <= max_line)
    except (KeyError, ValueError):
        is_plain = False
    if is_plain:
        headers = _new_headers(HTTPHeaders)
        headers._values = values
        length = 0
        if "Content-Length" in values or "Transfer-Encoding" in values:
            check_framing(values)
            length = body_length(headers, version)
        connection = values.get("Connection")
        keep_alive = connection is None or wants_keep_alive(headers, version)
    else:
        method, target, version, headers = parse_request_head(head, max_line, max_fields)
        length = body_length(headers, version)
        keep_alive = wants_keep_alive(headers, version)
    if rest is not None and len(rest) <= _HEAD_LENGTH:
        _remember_head(rest, cookie, (method, target, version, headers, length, keep_alive))
    return method, target, version, headers, length, keep_alive


#: Whether a loop over the bytes of a head is faster than the methods that do the same: on PyPy,
#: which compiles it, with Python 3, where bytes are numbers.
_SCANS = IS_PYPY and str is not bytes  # version: py2


def _scan_plain_head(head, values):
    """Put the fields of a plain head into `values`; returns its first line and the number of its
    fields. Raises KeyError or ValueError for a head that is not plain."""
    text = head.decode("latin-1")
    end = text.find("\r\n")
    line, start, last, count = text[:end], end + 2, len(text) - 2, 0
    while start < last:
        end = text.index("\r", start)
        colon = text.find(":", start, end)
        # A space after the colon, and no other one around the value.
        if colon < 0 or head[colon + 1] != 32 or head[colon + 2] == 32 \
                or head[end - 1] == 32 or head[end + 1] != 10:
            raise ValueError(head)
        values[NAMES[text[start:colon]]] = text[colon + 2:end]
        start = end + 2
        count += 1
    # Every octet is plain, except those of the line ends.
    ends = 0
    for octet in head:
        if octet < 32 or octet > 126:
            ends += 1
    if ends != 2 * count + 4:
        raise ValueError(head)
    return line, count


def _remember_host(host):
    """Whether `host` is valid in a request; if so, it is known from now on."""
    if not is_host(host):
        return False
    if len(host) <= _HOST_LENGTH:
        if len(_hosts) >= _HEADS:
            _hosts.clear()
        _hosts.add(host)
    return True


def _remember_head(rest, cookie, known):
    """Remember what `read_request_head` has found in a head, if it arrives for the second time."""
    method, target, version, headers, length, keep_alive = known
    if len(headers) > _HEAD_FIELDS:
        return
    if not comes_again(_seen, _HEADS, rest):
        return
    values = headers._values.copy()
    # A second Cookie line would still be in `rest`.
    if (cookie is None or type(values.pop("Cookie")) is str) and may_be_remembered(values):
        remember(_heads, _HEADS, rest, (method, target, version, values, length, keep_alive))


# The same for responses: repeated ones differ only in their Date, from one second to the next.
_response_heads = {}


def read_response_head(head, method="GET", max_fields=MAX_RESPONSE_FIELDS):
    """Everything in the head of a response to `method`: (version, status, reason, HTTPHeaders,
    `body_length`, `wants_keep_alive`). Raises HTTPInputError."""
    is_common = method == "GET" and max_fields > _HEAD_FIELDS
    known = _response_heads.get(head) if is_common else None
    if known is not None:
        version, status, reason, values, length, keep_alive = known
        return version, status, reason, HTTPHeaders.from_values(values.copy()), length, keep_alive
    version, status, reason, headers = parse_response_head(head, max_fields)
    length = body_length(headers, version, status, method)
    keep_alive = wants_keep_alive(headers, version)
    # A Location may hold a secret, as the target of a request may.
    if is_common and len(head) <= _HEAD_LENGTH and len(headers) <= _HEAD_FIELDS \
            and may_be_remembered(headers._values) and "Location" not in headers._values:
        if len(_response_heads) >= _HEADS:
            _response_heads.clear()
        _response_heads[head] = (
            version, status, reason, headers._values.copy(), length, keep_alive)
    return version, status, reason, headers, length, keep_alive


_join_field = ": ".join
_LINE_ENDS = b"\r\n\0"


def encode_head(start_line, headers):
    """A start line and HTTPHeaders -> the bytes of a head, with its empty line.

    Raises HTTPOutputError when a value would end its line early or is not latin-1.
    """
    lines = [start_line]
    try:
        lines += map(_join_field, headers._values.items())
    except TypeError:
        # Several lines of one name.
        lines[1:] = map(_join_field, headers.get_all())
    text = "\r\n".join(lines) + "\r\n\r\n"
    try:
        data = _to_wire(text)
    except UnicodeError:
        raise HTTPOutputError("a header value is not latin-1: %r" % text)
    # The number of line ends shows whether a value contained one.
    if len(data.translate(None, _LINE_ENDS)) != len(data) - 2 * len(lines) - 2:
        raise HTTPOutputError("line break or NUL in a header: %r" % text)
    return data


# The heads of successive responses differ in little else but their ETags and lengths, within one
# second. So of the last head these are remembered: the start line and the values; and, once these
# have come again with any ETag, the bytes of both without the ETag, the ETag, the length, and the
# whole head. The tuple is read once and replaced as a whole, because loops in other threads do the
# same.
_last = "", {}, None, None, None, b""


def encode_response_head(start_line, headers, size):
    """The bytes of the head of a response that `size` bytes of body follow; it adds the
    Content-Length to the headers. Raises HTTPOutputError as `encode_head` does."""
    global _last
    values = headers._values
    line, known, start, last_etag, last_size, head = _last
    etag = values.get("Etag")
    if etag is not None:
        known["Etag"] = etag
    is_known = values == known and start_line == line
    if not is_known and may_be_remembered(values):
        _last = start_line, values.copy(), None, None, None, b""
    values["Content-Length"] = str(size)
    if not is_known:
        return encode_head(start_line, headers)
    if size == last_size and etag == last_etag:
        return head
    tag = b""
    if etag is not None:
        # There may be several, in a list.
        try:
            tag = _to_wire(etag) if type(etag) is str else b""
        except UnicodeError:
            pass
        if not tag.strip(b'"').isalnum():
            return encode_head(start_line, headers)
        tag = b"Etag: " + tag + b"\r\n"
    if start is None:
        others = values.copy()
        del others["Content-Length"]
        if etag is not None:
            del others["Etag"]
        start = encode_head(start_line, HTTPHeaders.from_values(others))[:-2]
    head = b"%s%sContent-Length: %d\r\n\r\n" % (start, tag, size)
    _last = line, known, start, etag, size, head
    return head


def encode_chunk(data):
    """One chunk of a chunked body (RFC 9112 7.1). `data` must not be empty, which would end it."""
    return ("%x\r\n" % len(data)).encode("ascii") + data + b"\r\n"


def encode_answer(status, text, date, head_only):
    """A whole response in plain text, written by the server itself; the connection closes after
    it. `text` is added to the status and reason."""
    reason = REASONS.get(status, "Error")
    body = ("%d %s%s\n" % (status, reason, text and ": " + text)).encode(
        "ascii", "backslashreplace")
    headers = HTTPHeaders.from_values({
        "Content-Type": "text/plain; charset=us-ascii", "Connection": "close",
        "Content-Length": str(len(body)), "Date": date})
    head = encode_head("HTTP/1.1 %d %s" % (status, reason), headers)
    return head if head_only else head + body


#: The end of a chunked body without trailer fields.
LAST_CHUNK = b"0\r\n\r\n"


#: status -> reason: the standard library's table, and those of RFC 9110 15 and its registry that
#: it lacks on Python 2.7.
REASONS = dict(six.moves.http_client.responses)
for _status, _reason in {
        103: "Early Hints", 308: "Permanent Redirect", 421: "Misdirected Request",
        422: "Unprocessable Content", 425: "Too Early", 428: "Precondition Required",
        429: "Too Many Requests", 431: "Request Header Fields Too Large",
        451: "Unavailable For Legal Reasons", 507: "Insufficient Storage",
        511: "Network Authentication Required"}.items():
    REASONS.setdefault(_status, _reason)
REASONS = dict((int(_status), _reason) for _status, _reason in REASONS.items())
