"""ETags: identifiers of bodies, which change when the body does (RFC 9110 8.8.3).

    etag = etag_of(b"Hello")
    is_known_etag(etag, request.headers["If-None-Match"])
"""
from __future__ import absolute_import, division, print_function

import hashlib
import re

from friendserve.escape import native_str

_sha1 = hashlib.sha1

# The last body and its ETag: often one body is sent many times in a row, such as a message to every
# client that waits for it.
_last = b"", '"da39a3ee5e6b4b0d3255bfef95601890afd80709"'
_MAX_BODY = 1024


def etag_of(body):
    """The strong ETag of a body: a hash of its bytes."""
    global _last
    known, etag = _last
    if body != known:
        etag = '"' + _sha1(body).hexdigest() + '"'
        if len(body) <= _MAX_BODY:
            _last = body, etag
    return etag


# One tag. A blank in quotes and a tag without quotes are not in the grammar (RFC 9110 8.8.3), but
# applications make such ETags, and clients send them back.
_TAG = r'(?:W/)?"[^"]*"|[^",\s]+'
_find_tags = re.compile(_TAG).findall
# A list of them, which may have empty elements (RFC 9110 5.6.1.2).
_is_list = re.compile(r"[ \t,]*(?:(?:%s)[ \t]*(?:,[ \t,]*|\Z))*\Z" % _TAG).match


def is_known_etag(etag, header):
    """Whether the value of an If-None-Match header includes `etag`, by weak comparison (RFC 9110
    13.1.2). A malformed list includes none."""
    etag = etag[2:] if etag.startswith("W/") else etag
    if header == etag or header.strip() == "*":
        return True
    if not _is_list(header):
        return False
    tags = _find_tags(header)
    return etag in tags or "W/" + etag in tags


def is_same_etag(etag, header):
    """Whether the value of an If-Match header includes `etag`, by strong comparison (RFC 9110
    13.1.1): a weak tag equals none. `etag` is None for content without one."""
    if header.strip() == "*":
        return True
    return bool(etag) and not etag.startswith("W/") and _is_list(header) is not None \
        and etag in _find_tags(header)


class Tagged(object):
    """The part of a RequestHandler that compares ETags."""

    def compute_etag(self):
        """The ETag for the body written so far, or None to send none. May be overridden."""
        buffer = self._write_buffer
        return etag_of(buffer[0] if len(buffer) == 1 else b"".join(buffer))

    def set_etag_header(self):
        """Set the Etag header to `compute_etag()`, unless it is already set."""
        values = self._headers._values
        if "Etag" not in values:
            etag = self.compute_etag()
            if etag is not None:
                # Without set_header: an invalid value is refused when the headers are sent.
                values["Etag"] = etag if type(etag) is str else native_str(etag)

    def check_etag_header(self):
        """Whether the client already has this response: If-None-Match includes its Etag, by weak
        comparison (RFC 9110 13.1.2)."""
        if "If-None-Match" not in self.request.headers._values:
            return False
        etag = self._headers.get("Etag")
        if not etag:
            return False
        return is_known_etag(etag, self.request.headers["If-None-Match"])
