"""What is done to a response between the handler and the connection.

A transform is made for one request. It sees the head with the first chunk of the body, then
each further chunk, and returns what is to be sent in their place. An application has a list of
them, each fed with what the one before it returned.
"""
from __future__ import absolute_import, division, print_function

import re
import zlib


class OutputTransform(object):
    """A transform that changes nothing; the base of those that do.

    `transform_first_chunk` is called once, before any other method, and `transform_chunk` for
    each chunk after it, up to the one with `finishing` true, which is the last and may be
    empty. Chunks are bytes. A chunk returned as b"" sends nothing yet.
    """

    def __init__(self, request):
        self.request = request

    def transform_first_chunk(self, status_code, headers, chunk, finishing):
        """(status_code, headers, chunk) to send; `headers` is an HTTPHeaders, free to change."""
        return status_code, headers, chunk

    def transform_chunk(self, chunk, finishing):
        """The chunk to send."""
        return chunk


# RFC 9110 12.4.2: at most three digits after the point.
_WEIGHT = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\Z", re.IGNORECASE)


def accepts_coding(accept_encoding, coding):
    """Whether a client that sent this Accept-Encoding takes a content coding (RFC 9110 12.5.3).

    What names the coding counts before what names any. An entry whose weight is malformed
    is as good as refused: the plain form can always be read.
    """
    named = wildcard = None
    for entry in accept_encoding.lower().split(","):
        name, semicolon, weight = entry.partition(";")
        name = name.strip(" \t")
        match = _WEIGHT.match(weight.strip(" \t")) if semicolon else None
        accepted = not semicolon or match is not None and float(match.group(1)) > 0
        if name == coding or name == "x-" + coding:
            named = accepted
        elif name == "*":
            wildcard = accepted
    return bool(wildcard if named is None else named)


class GZipContentEncoding(OutputTransform):
    """Compresses a response whose type is text when the client takes gzip.

    ``Vary: Accept-Encoding`` goes with every response of such a type, for whoever asks. Left as
    they are: what is known to be shorter than MIN_LENGTH bytes, partial content, statuses
    without a body, and what has a Content-Encoding already. Each flush of the handler sends all
    that was written before it.

    A compressed response is another representation of its resource, so a strong ETag becomes a
    weak one, and ranges, which would count the plain bytes, are no longer offered
    (RFC 9110 8.8.1 and 14.3).
    """

    #: Compressed besides all of text/*.
    CONTENT_TYPES = frozenset([
        "application/atom+xml", "application/javascript", "application/json",
        "application/rss+xml", "application/x-javascript", "application/xhtml+xml",
        "application/xml", "image/svg+xml"])
    #: Bytes below which gzip saves less than its own frame and the work cost.
    MIN_LENGTH = 1024
    #: 1 is fast, 9 is small; above 6 the size hardly changes.
    GZIP_LEVEL = 6

    _compressor = None

    def transform_first_chunk(self, status_code, headers, chunk, finishing):
        content_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if not content_type.startswith("text/") and content_type not in self.CONTENT_TYPES:
            return status_code, headers, chunk
        add_vary(headers)
        if (status_code in (204, 206, 304) or status_code < 200
                or "Content-Encoding" in headers or "Content-Range" in headers
                or self._length(headers, chunk, finishing) < self.MIN_LENGTH
                or not accepts_coding(
                    self.request.headers.get("Accept-Encoding", ""), "gzip")):
            return status_code, headers, chunk
        # 16 over the largest window asks for the gzip format (RFC 1952) instead of zlib's.
        self._compressor = zlib.compressobj(self.GZIP_LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
        chunk = self.transform_chunk(chunk, finishing)
        headers["Content-Encoding"] = "gzip"
        for name in ("Accept-Ranges", "Content-Length"):
            headers.pop(name, None)
        if finishing:
            headers["Content-Length"] = str(len(chunk))
        if headers.get("Etag", "").startswith('"'):
            headers["Etag"] = "W/" + headers["Etag"]
        return status_code, headers, chunk

    def transform_chunk(self, chunk, finishing):
        if self._compressor is None:
            return chunk
        if finishing:
            return self._compressor.compress(chunk) + self._compressor.flush()
        if not chunk:
            return chunk
        return self._compressor.compress(chunk) + self._compressor.flush(zlib.Z_SYNC_FLUSH)

    def _length(self, headers, chunk, finishing):
        """Length of the whole body as far as it is known now; without end when it is not."""
        if finishing:
            return len(chunk)
        length = headers.get("Content-Length", "")
        return int(length) if re.match(r"[0-9]+\Z", length) else float("inf")


def add_vary(headers):
    """Say that the response depends on Accept-Encoding, unless it says so already."""
    varies = [name.strip().lower() for name in headers.get("Vary", "").split(",")]
    if "*" not in varies and "accept-encoding" not in varies:
        headers.add("Vary", "Accept-Encoding")


class ChunkedTransferEncoding(OutputTransform):
    """Changes nothing: the name is kept for applications that list it among their transforms.

    How a body is framed on the wire is the connection's to decide, which alone knows the
    request's version and whether a length was given.
    """
