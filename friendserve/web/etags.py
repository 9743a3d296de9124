"""ETags: identifiers of bodies, which change when the body does (RFC 9110 8.8.3).

    etag = etag_of(b"Hello")
    is_known_etag(etag, request.headers["If-None-Match"])
"""
from __future__ import absolute_import, division, print_function

import hashlib

_sha1 = hashlib.sha1

# A small body is often sent again: the same message to every client that waits for it.
_etags = {}
_MAX_ETAGS = 500
_MAX_BODY = 1024


def etag_of(body):
    """The strong ETag of a body: a hash of its bytes."""
    etag = _etags.get(body)
    if etag is None:
        etag = '"' + _sha1(body).hexdigest() + '"'
        if len(body) <= _MAX_BODY:
            # As `util.remember`, without a call.
            if len(_etags) >= _MAX_ETAGS:
                _etags.clear()
            _etags[body] = etag
    return etag


def is_known_etag(etag, header):
    """Whether the value of an If-None-Match header includes `etag`, by weak comparison (RFC 9110
    13.1.2)."""
    etag = etag[2:] if etag.startswith("W/") else etag
    return header.strip() == "*" or any(
        tag.strip() in (etag, "W/" + etag) for tag in header.split(","))
