"""The format of Server-Sent Events (HTML Standard 9.2): one event as bytes.

    encode_event("one\\ntwo", event="news", id="7")
    # b"event: news\\nid: 7\\ndata: one\\ndata: two\\n\\n"
"""
from __future__ import absolute_import, division, print_function

import re

import six

from friendserve.escape import json_encode, to_unicode

# Only these end a line in this format.
_split_lines = re.compile(u"\r\n|\r|\n").split
_find_line_end = re.compile(u"[\r\n]").search

#: A comment, which readers skip; it keeps a connection from looking dead.
HEARTBEAT = b":\n\n"


def encode_event(data=None, event=None, id=None, retry=None):
    """The bytes of an event.

    `data` is text, UTF-8 bytes, or a dict, which is sent as JSON; without it (None) the reader only
    records `id` and `retry`. `event` is the type, as text. `id` is the value that the reader sends
    back as Last-Event-ID; an empty one makes the reader forget the last. `retry` is the number of
    milliseconds until the reader reconnects.

    Every line end in `data` arrives as "\\\\n". Raises ValueError for a line end in `event` or
    `id`, for a NUL in `id`, and for a `retry` that is not a whole number of at least 0.
    """
    lines = []
    if event is not None:
        lines.append(u"event: " + _check_line("event", event))
    if id is not None:
        text = _check_line("id", id)
        if u"\0" in text:
            raise ValueError("the id of an event must not contain a NUL: %r" % (id,))
        lines.append(u"id: " + text)
    if retry is not None:
        if not isinstance(retry, six.integer_types) or retry < 0:
            raise ValueError("retry must be a number of milliseconds, not %r" % (retry,))
        lines.append(u"retry: %d" % retry)
    if data is not None:
        if isinstance(data, dict):
            data = json_encode(data)
        lines.extend(u"data: " + line for line in _split_lines(to_unicode(data)))
    return (u"\n".join(lines) + u"\n\n").encode("utf-8")


def _check_line(name, value):
    text = to_unicode(value)
    if _find_line_end(text):
        raise ValueError("the %s of an event must be a single line, not %r" % (name, value))
    return text
