"""Transforms change a response between the handler and the connection.

A transform is made for one request. It is given the status and headers with the first chunk of the
body, then each further chunk, and returns what to send instead. An application has a list of
transforms, each fed with the output of the one before it.
"""
from __future__ import absolute_import, division, print_function

import re
import zlib


class OutputTransform(object):
    """The base class of transforms; it changes nothing.

    `transform_first_chunk` is called once, before any other method, and `transform_chunk` for each
    further chunk. `finishing` is true for the last chunk, which may be empty. Chunks are bytes.
    Returning b"" sends nothing yet.
    """

    def __init__(self, request):
        self.request = request

    def transform_first_chunk(self, status_code, headers, chunk, finishing):
        """(status_code, headers, chunk) to send. `headers` is an HTTPHeaders, which may be
        changed."""
        return status_code, headers, chunk

    def transform_chunk(self, chunk, finishing):
        """The chunk to send."""
        return chunk


# A weight has at most three digits after the point (RFC 9110 12.4.2).
_WEIGHT = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\Z", re.IGNORECASE)


def accepts_coding(accept_encoding, coding):
    """Whether a client that sent this Accept-Encoding accepts a content coding (RFC 9110 12.5.3).

    An entry for the coding takes precedence over "*". An entry with a malformed weight counts as a
    refusal, since every client can read the plain form.
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
    """Compresses responses of a text type for clients that accept gzip.

    Every response of such a type has ``Vary: Accept-Encoding``, whatever the client accepts. These
    are not compressed: bodies known to be shorter than MIN_LENGTH bytes, partial content, statuses
    without a body, and responses that already have a Content-Encoding. Each flush of the handler
    sends everything written before it.

    A compressed response is another representation of its resource, so a strong ETag becomes a
    weak one, and ranges, which would count the uncompressed bytes, are no longer offered
    (RFC 9110 8.8.1 and 14.3).
    """

    #: Types that are compressed, besides text/*.
    CONTENT_TYPES = frozenset([
        "application/atom+xml", "application/javascript", "application/json",
        "application/rss+xml", "application/x-javascript", "application/xhtml+xml",
        "application/xml", "image/svg+xml"])
    #: For bodies of fewer bytes, gzip's framing and CPU time cost more than it saves.
    MIN_LENGTH = 1024
    #: From 1, the fastest, to 9, the smallest; above 6 the size hardly changes.
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
        # Adding 16 to the window size selects the gzip format (RFC 1952) instead of zlib's.
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
        """The length of the whole body; infinity if it is not known yet."""
        if finishing:
            return len(chunk)
        length = headers.get("Content-Length", "")
        return int(length) if re.match(r"[0-9]+\Z", length) else float("inf")


def add_vary(headers):
    """Add "Vary: Accept-Encoding", unless the response already has it."""
    varies = [name.strip().lower() for name in headers.get("Vary", "").split(",")]
    if "*" not in varies and "accept-encoding" not in varies:
        headers.add("Vary", "Accept-Encoding")


class ChunkedTransferEncoding(OutputTransform):
    """Changes nothing; it exists for applications that list it among their transforms.

    The connection frames the body, since only it knows the version of the request and whether
    there is a Content-Length.
    """
