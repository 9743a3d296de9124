"""Transforms change a response between the handler and the connection.

A transform is made for one request. It is given the status and headers with the first chunk of the
body, then each further chunk, and returns what to send instead. An application has a list of
transforms, each fed with the output of the one before it.
"""
from __future__ import absolute_import, division, print_function

import re
import zlib

from friendserve.util import remember

#: Codings whose compressed file is looked for next to the plain one (RFC 9110 8.4.1, RFC 7932), the
#: smallest first: (name in headers, file name extension).
PRECOMPRESSED = (("br", ".br"), ("gzip", ".gz"))


class OutputTransform(object):
    """The base class of transforms; it changes nothing.

    `transform_first_chunk` is called once, before any other method, and `transform_chunk` for each
    further chunk. `finishing` is true for the last chunk, which may be empty. Chunks are bytes.
    Returning b"" sends nothing yet.

    The headers of a 304, and of a response to HEAD, are those that the 200 to GET would have: what
    a 304 may not have is removed afterwards. Their body may be missing, even if the headers have
    its Content-Length; what is returned for it is not sent.
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


# Accept-Encoding -> the codings of PRECOMPRESSED that it accepts.
_accepted = {}
_MAX_ACCEPTED = 1000
_MAX_ACCEPTED_LENGTH = 200


def accepted_codings(header):
    """The codings of PRECOMPRESSED that a client with this Accept-Encoding accepts. A header sent
    on several lines counts as one list."""
    if isinstance(header, list):
        header = ",".join(header)
    codings = _accepted.get(header)
    if codings is None:
        codings = tuple(coding for coding, _ in PRECOMPRESSED if accepts_coding(header, coding))
        if len(header) < _MAX_ACCEPTED_LENGTH:
            remember(_accepted, _MAX_ACCEPTED, header, codings)
    return codings


class GZipContentEncoding(OutputTransform):
    """Compresses responses of a text type for clients that accept gzip.

    Every response of such a type has ``Vary: Accept-Encoding``, whatever the client accepts. These
    are not compressed: bodies known to be shorter than MIN_LENGTH bytes, partial content, statuses
    without a body, and responses that already have a Content-Encoding. Each flush of the handler
    sends everything written before it. A response with ``Cache-Control: no-transform`` (RFC 9111
    5.2.2.6) is left as it is.

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
        if "no-transform" in _directives(headers):
            return status_code, headers, chunk
        add_vary(headers)
        if (status_code in (204, 206) or status_code < 200
                or "Content-Encoding" in headers or "Content-Range" in headers
                or self._length(status_code, headers, chunk, finishing) < self.MIN_LENGTH
                or not accepts_coding(
                    self.request.headers.get("Accept-Encoding", ""), "gzip")):
            return status_code, headers, chunk
        if headers.get("Etag", "").startswith('"'):
            headers["Etag"] = "W/" + headers["Etag"]
        for name in ("Accept-Ranges", "Content-Length"):
            headers.pop(name, None)
        if status_code == 304:
            # The body is not sent, so compressing it would be wasted.
            return status_code, headers, chunk
        headers["Content-Encoding"] = "gzip"
        if finishing and not chunk:
            # The response to HEAD for a body that was not read: its compressed length is unknown.
            return status_code, headers, chunk
        # Adding 16 to the window size selects the gzip format (RFC 1952) instead of zlib's.
        self._compressor = zlib.compressobj(self.GZIP_LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
        chunk = self.transform_chunk(chunk, finishing)
        if finishing:
            headers["Content-Length"] = str(len(chunk))
        return status_code, headers, chunk

    def transform_chunk(self, chunk, finishing):
        if self._compressor is None:
            return chunk
        if finishing:
            return self._compressor.compress(chunk) + self._compressor.flush()
        if not chunk:
            return chunk
        return self._compressor.compress(chunk) + self._compressor.flush(zlib.Z_SYNC_FLUSH)

    def _length(self, status_code, headers, chunk, finishing):
        """The length of the whole body that GET is sent; infinity if it is not known yet."""
        length = headers.get("Content-Length", "")
        if status_code == 304 and not chunk and not length:
            # The handler did not make the body, but the client has it: was its ETag a weak one?
            known = self.request.headers.get("If-None-Match")
            return 0 if known and "W/" + headers.get("Etag", "") not in known else float("inf")
        if finishing and (chunk or not length
                          or status_code != 304 and self.request.method != "HEAD"):
            return len(chunk)
        return int(length) if re.match(r"[0-9]+\Z", length) else float("inf")


def _directives(headers):
    """The names in Cache-Control, in lower case (RFC 9111 5.2)."""
    return [name.strip(" \t") for name in headers.get("Cache-Control", "").lower().split(",")]


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
