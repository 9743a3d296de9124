"""Conditions and ranges: how much of a file a request asks for (RFC 9110 13 and 14).

    status, start, end = select_part(request.headers, response_headers, size)
    is_unmodified_since(request.headers["If-Modified-Since"], modified)

These are pure functions of header values; a condition on ETags is in `friendserve.web.etags`.
"""
from __future__ import absolute_import, division, print_function

import calendar
import email.utils
import re

# RFC 9110 5.6.7: the form of a date, and the two older ones. The standard library's function also
# accepts a list of dates, or text that only begins with one.
_is_date = re.compile(
    "[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT\\Z"
    "|[A-Z][a-z]{5,8}, [0-9]{2}-[A-Z][a-z]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT\\Z"
    "|[A-Z][a-z]{2} [A-Z][a-z]{2} [0-9 ][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2} [0-9]{4}\\Z").match

# Numbers of nineteen or more digits exceed any file size.
_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*\Z", re.IGNORECASE)


def select_part(request_headers, response_headers, size):
    """(status, start, end): the part of `size` bytes that a request with a Range header gets.

    The status is 206 for the bytes from `start` up to, not including, `end`; 416 if the range
    cannot be satisfied; 200, for the whole content, if the range covers it or is to be ignored:
    it is not a single range of bytes (RFC 9110 14.2), or the client has a part of another
    version (If-Range, 13.1.5). `response_headers` are those of the whole content, with its Etag
    and Last-Modified. If they have a Vary, the date is that of several contents, and so does not
    tell which one the client has a part of.
    """
    condition = request_headers.get("If-Range")
    if condition is not None and (
            condition != response_headers.get("Etag") or condition.startswith("W/")) and (
            condition != response_headers.get("Last-Modified") or "Vary" in response_headers):
        return 200, 0, size
    part = _parse_range(request_headers["Range"], size)
    if part is None:
        return 416, 0, 0
    start, end = part
    return (200 if end - start == size else 206), start, end


def _parse_range(header, size):
    """(start, end) of a Range header; (0, size) if it is to be ignored, None if it cannot be
    satisfied."""
    match = _RANGE.match(header)
    first, last = match.groups() if match is not None else ("", "")
    if not first and not last:
        return 0, size
    if not first:
        # "-5" means the last five bytes.
        return (max(0, size - int(last)), size) if int(last) else None
    start = int(first)
    end = min(int(last) + 1, size) if last else size
    return (start, end) if start < end or start == 0 == size else None


def is_unmodified_since(header, modified):
    """Whether content last changed at `modified`, a datetime (UTC) or None, is still as it was at
    the time of an If-Modified-Since header. A header that is not a date is ignored."""
    since = _parse_date(header)
    return None not in (since, modified) and calendar.timegm(modified.utctimetuple()) <= since


def is_modified_since(header, modified):
    """Whether content last changed at `modified`, a datetime (UTC) or None, was changed after the
    time of an If-Unmodified-Since header. A header that is not a date is ignored."""
    since = _parse_date(header)
    return None not in (since, modified) and calendar.timegm(modified.utctimetuple()) > since


def _parse_date(header):
    """The timestamp of an HTTP date, or None."""
    if _is_date(header) is None:
        return None
    try:
        return email.utils.mktime_tz(email.utils.parsedate_tz(header))
    except (AttributeError, IndexError, OverflowError, TypeError, ValueError):
        return None
