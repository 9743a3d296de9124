"""What every feed promises, and what is the same in all of them: who waits for what.

A feed is an ordered log of messages for each channel. Every message has an id, and the id of the
last message somebody has seen is that reader's *cursor*: whoever asks with a cursor gets what came
after it, in order, each message once, however often connections, processes or servers went down
in between. A feed keeps the newest messages of a channel only; a reader that comes too late for
some is told so, and gets the rest.

Ids look like ``1764150000123-0``: milliseconds since 1970, and a number within the millisecond.
They only grow, across restarts too. Nobody but a feed should read more into them than that.

How failures are told: an operation takes `callback` for success and `on_error` for failure; one of
them is called, once, by the loop. Without `on_error`, the error is raised in the stack_context of
the caller, so that a handler under `@asynchronous` answers 500. `wait` and `subscribe` never fail:
while the store is away they go on waiting, and resume where they were.
"""
from __future__ import absolute_import, division, print_function

import collections
import re

import six

from friendserve.ioloop import IOLoop
from friendserve.stack_context import NullContext, wrap

#: What a channel keeps unless it is told otherwise.
MAX_MESSAGES = 1000

#: The longest text of a message, in bytes of UTF-8.
MAX_TEXT = 64 * 1024

#: The longest name of a channel, in bytes of UTF-8.
MAX_CHANNEL = 256

#: The cursor before every message.
START = (0, 0)

_CURSOR = re.compile(r"[0-9]{1,16}(?:-[0-9]{1,16})?\Z")

#: One message: its `id`, the name of its `channel`, and its `text` (unicode).
Message = collections.namedtuple("Message", "id channel text")

#: What readers get: `messages` (a list of Message), the `cursor` to go on with, and `complete`:
#: false when messages between their cursor and the first of these may have been dropped.
Batch = collections.namedtuple("Batch", "messages cursor complete")


class FeedError(Exception):
    """A feed could not do what it was asked."""


class FeedUnavailable(FeedError):
    """The store is away; nothing was done, so it is safe to ask again."""


class FeedOutcomeUnknown(FeedError):
    """The store went away before it answered: what was asked may have been done, or not."""


def parse_cursor(cursor):
    """The position (milliseconds, number) of a cursor, None for None. Raises ValueError."""
    if cursor is None:
        return None
    if not isinstance(cursor, six.string_types) or not _CURSOR.match(cursor):
        raise ValueError("a cursor looks like 1764150000123-0, not %.60r" % (cursor,))
    milliseconds, _, number = cursor.partition("-")
    return int(milliseconds), int(number or 0)


def format_cursor(position):
    """The cursor of a position."""
    return "%d-%d" % position


class Watch(object):
    """Somebody who waits for messages of a channel; what `wait` and `subscribe` return."""
    __slots__ = ("channel", "position", "callback", "once", "timer", "__weakref__")

    def __init__(self, channel, position, callback, once):
        self.channel = channel
        self.position = position        # of the last message that was given out; None: from now on
        self.callback = callback        # None: over, by success, timeout or `cancel`
        self.once = once
        self.timer = None


class Channel(object):
    """What a process knows of a channel: the messages between `floor` and `last`, and who waits."""
    __slots__ = ("name", "recent", "floor", "last", "watches", "scheduled", "__weakref__")

    def __init__(self, name, position):
        self.name = name
        self.recent = collections.deque()       # of (position, Message)
        self.floor = self.last = position       # None while it is not known
        self.watches = collections.OrderedDict()
        self.scheduled = False

    def append(self, position, message, keep):
        """Remember one more message, and not more than `keep` of them."""
        self.recent.append((position, message))
        self.last = position
        if len(self.recent) > keep:
            self.floor = self.recent.popleft()[0]

    def batch_after(self, position):
        """The Batch of what is remembered after a position."""
        if position < self.floor:
            messages = [message for _, message in self.recent]
            return Batch(messages, format_cursor(self.last), position == START)
        messages = []
        for place, message in reversed(self.recent):
            if place <= position:
                break
            messages.append(message)
        messages.reverse()
        return Batch(messages, format_cursor(max(position, self.last)), True)


class Feed(object):
    """The interface of every feed. It belongs to the thread of its loop: call it from there."""

    def __init__(self, max_messages=MAX_MESSAGES, max_text=MAX_TEXT, io_loop=None):
        if max_messages < 1 or max_text < 1:
            raise ValueError("max_messages and max_text must be 1 or more")
        self.io_loop = io_loop or IOLoop.current()
        self.max_messages = max_messages
        self.max_text = max_text
        self._channels = {}
        self._closed = False

    # For readers and writers

    def publish(self, channel, text, callback=None, on_error=None):
        """Append a message to a channel; `callback(id)` is called once it is kept.

        `text` is unicode (or ASCII); encode other values first, as JSON for instance. Raises
        ValueError when it is longer than `max_text` bytes, TypeError when it is no text.
        """
        raise NotImplementedError()

    def recent(self, channel, limit, callback, on_error=None):
        """Call `callback(batch)` with the last messages of a channel, `limit` at most.

        Its `cursor` is that of the newest message also where `limit` is 0: the place from which
        a page that shows these messages goes on.
        """
        raise NotImplementedError()

    def wait(self, channel, cursor, callback, timeout=None):
        """Call `callback(batch)` once, as soon as there are messages after `cursor`.

        `cursor` None means from now on, "0" the oldest that is kept. After `timeout` seconds
        (None: never) the batch is empty, and has the cursor to go on with: None if none is known
        yet. With the timeout 0 it has what the process knows of already. Returns a handle for
        `cancel`. Raises ValueError for a cursor that is none.
        """
        watch = self._watch(channel, cursor, callback, True)
        if timeout is not None:
            with NullContext():
                watch.timer = self.io_loop.call_later(timeout, self._expire, watch)
        return watch

    def subscribe(self, channel, callback, cursor=None):
        """Call `callback(batch)` for all messages after `cursor` (None: from now on), until
        `cancel` is called with the handle that this returns.

        A batch is given out whether or not the last one has reached its reader. To be clocked
        by a slow reader, call `wait` again when it has taken a batch.
        """
        return self._watch(channel, cursor, callback, False)

    def cancel(self, handle):
        """Have the callback of a `wait` or `subscribe` not called any more. Harmless when it was
        over."""
        if handle.callback is not None:
            self._end(handle)

    def close(self):
        """Let go of the store and of all who wait, whose callbacks are not called."""
        self._closed = True
        for channel in self._channels.values():
            for watch in list(channel.watches):
                self._end(watch)
        self._channels.clear()

    # What the stores share

    def _watch(self, name, cursor, callback, once):
        self._check_open()
        position = parse_cursor(cursor)
        channel = self._channel(self._check_name(name))
        watch = Watch(channel, position, wrap(callback), once)
        with NullContext():
            self._begin(watch)
        return watch

    def _channel(self, name):
        """The Channel of a name; a new one is for the store to make."""
        raise NotImplementedError()

    def _begin(self, watch):
        """Give a watch what is there for it already, and have it told of the rest."""
        channel = watch.channel
        channel.watches[watch] = None
        if watch.position is None:
            watch.position = channel.last
        elif watch.position < channel.last:
            self._news(channel)

    def _fetch(self, watch):
        """Get what the process does not remember any more, for a watch that is behind that.
        Returns whether there is such a thing."""
        return False

    def _check_open(self):
        if self._closed:
            raise FeedUnavailable("this feed is closed")

    def _check_name(self, name):
        if not isinstance(name, six.string_types):
            raise TypeError("the name of a channel is text, not %r" % (name,))
        if not isinstance(name, six.text_type):
            name = name.decode("ascii")  # version: py2
        if not 1 <= len(name.encode("utf-8")) <= MAX_CHANNEL:
            raise ValueError("the name of a channel has 1 to %d bytes, not %.60r"
                             % (MAX_CHANNEL, name))
        return name

    def _check_text(self, text):
        """A message as (text, its UTF-8), or why it cannot be one."""
        if not isinstance(text, six.string_types):
            raise TypeError("a message is text, not %r" % type(text).__name__)
        data = text.encode("utf-8")
        if len(data) > self.max_text:
            raise ValueError("a message has %d bytes at most, not %d" % (self.max_text, len(data)))
        return (text if isinstance(text, six.text_type) else data.decode("utf-8")), data

    def _news(self, channel):
        """Something was appended: tell those who wait, all that comes in one turn together."""
        if channel.watches and not channel.scheduled:
            channel.scheduled = True
            self.io_loop.spawn_callback(self._fan_out, channel)

    def _fan_out(self, channel):
        channel.scheduled = False
        last = channel.last
        batches = {}    # nearly all wait from the same position
        for watch in list(channel.watches):
            position = watch.position
            if position >= last or position < channel.floor and self._fetch(watch):
                continue
            batch = batches.get(position)
            if batch is None:
                batch = batches[position] = channel.batch_after(position)
            self._give(watch, last, batch)

    def _give(self, watch, position, batch):
        """Have the loop hand a batch over; what is on its way, only `cancel` can stop."""
        watch.position = position
        if watch.once:
            watch.channel.watches.pop(watch, None)
            self._stop_timer(watch)
        self.io_loop.add_callback(self._hand_over, watch, batch)

    def _hand_over(self, watch, batch):
        callback = watch.callback
        if callback is None:
            return
        if watch.once:
            self._end(watch)
        callback(batch)

    def _expire(self, watch):
        callback = watch.callback
        watch.timer = None
        self._end(watch)
        callback(self._known_after(watch.channel, watch.position))

    def _known_after(self, channel, position):
        """The Batch of what needs no waiting for."""
        if position is not None and position < channel.last:
            return channel.batch_after(position)
        return Batch([], None if position is None else format_cursor(position), True)

    def _end(self, watch):
        watch.callback = None
        watch.channel.watches.pop(watch, None)
        self._stop_timer(watch)

    def _stop_timer(self, watch):
        if watch.timer is not None:
            self.io_loop.remove_timeout(watch.timer)
            watch.timer = None
