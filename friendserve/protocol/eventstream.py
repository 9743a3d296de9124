"""The format of Server-Sent Events (HTML Standard 9.2): one event as bytes.

    encode_event("one\\ntwo", event="news", id="7")
    # b"event: news\\nid: 7\\ndata: one\\ndata: two\\n\\n"
"""
from __future__ import absolute_import, division, print_function

import re

import six

from friendserve.escape import json_encode, to_unicode

#: What ends a line in this format, and nothing else does.
_split_lines = re.compile(u"\r\n|\r|\n").split
_find_line_end = re.compile(u"[\r\n]").search

#: A comment, which readers skip: bytes that keep a connection from looking dead.
HEARTBEAT = b":\n\n"


def encode_event(data=None, event=None, id=None, retry=None):
    """The bytes of an event.

    `data` is text, bytes that are UTF-8, or a dict, sent as JSON; without it (None) the reader only
    notes `id` and `retry`. `event` is the type, a text, and `id` what the reader sends back as
    Last-Event-ID; an empty one makes it forget. `retry` is the milliseconds until the reader
    connects again.

    A line end in `data` arrives as "\\\\n". Raises ValueError where there must be none: in `event`
    and `id`, which must not hold a NUL either; and for a `retry` that is no number.
    """
    lines = []
    if event is not None:
        lines.append(u"event: " + _check_line("event", event))
    if id is not None:
        text = _check_line("id", id)
        if u"\0" in text:
            raise ValueError("the id of an event must not hold a NUL: %r" % (id,))
        lines.append(u"id: " + text)
    if retry is not None:
        if not isinstance(retry, six.integer_types) or retry < 0:
            raise ValueError("retry is a number of milliseconds, not %r" % (retry,))
        lines.append(u"retry: %d" % retry)
    if data is not None:
        if isinstance(data, dict):
            data = json_encode(data)
        lines.extend(u"data: " + line for line in _split_lines(to_unicode(data)))
    return (u"\n".join(lines) + u"\n\n").encode("utf-8")


def _check_line(name, value):
    text = to_unicode(value)
    if _find_line_end(text):
        raise ValueError("the %s of an event is one line, not %r" % (name, value))
    return text
