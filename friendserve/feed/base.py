"""The contract of every feed, and the part they all share: the waiting readers.

A feed is an ordered log of messages for each channel. Every message has an id, and the id of the
last message that a reader has seen is its *cursor*: a reader that asks with a cursor gets the
messages after it, in order, each of them once, however often connections, processes or servers
have failed in between. A feed keeps only the newest messages of a channel; a reader that comes too
late for some gets the rest, in a batch that is not `complete`.

Ids look like ``1764150000123-0``: milliseconds since 1970, and a number within the millisecond.
They only increase, even across restarts. Applications should treat them as opaque otherwise.

Failures: an operation takes `callback` for success and `on_error` for failure; the loop calls one
of them, once. Without `on_error`, the error is raised in the stack context of the caller, so that
a handler under `@asynchronous` answers 500. `wait` and `subscribe` never fail: while the store is
unavailable they keep waiting, and then resume where they were.
"""
from __future__ import absolute_import, division, print_function

import collections
import re

import six

from friendserve.awaitable import future_of
from friendserve.ioloop import IOLoop
from friendserve.stack_context import NullContext, state, wrap

#: How many messages a channel keeps by default.
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

#: A delivery to a reader: `messages` (a list of Message), the `cursor` to continue with, and
#: `complete`, false if messages between the reader's cursor and the first of these may have been
#: dropped.
Batch = collections.namedtuple("Batch", "messages cursor complete")


class FeedError(Exception):
    """An operation on a feed failed."""


class FeedUnavailable(FeedError):
    """The store is unavailable. Nothing was done, so it is safe to try again."""


class FeedOutcomeUnknown(FeedError):
    """The connection to the store was lost before it answered; the operation may or may not have
    been done."""


def parse_cursor(cursor):
    """The position (milliseconds, number) of a cursor; None for None. Raises ValueError if it is
    malformed."""
    if cursor is None:
        return None
    if not isinstance(cursor, six.string_types) or not _CURSOR.match(cursor):
        raise ValueError("a cursor must look like 1764150000123-0, not %.60r" % (cursor,))
    milliseconds, _, number = cursor.partition("-")
    return int(milliseconds), int(number or 0)


def format_cursor(position):
    """The cursor of a position."""
    return "%d-%d" % position


class Watch(object):
    """A reader that waits for messages of a channel; the handle that `wait` and `subscribe`
    return."""
    __slots__ = ("channel", "position", "callback", "once", "given", "timer", "__weakref__")

    def __init__(self, channel, position, callback, once):
        self.channel = channel
        self.position = position        # of the last message handed out; None: from now on
        self.callback = callback        # None once it has ended, by success, timeout or `cancel`
        self.once = once
        self.given = False              # whether the only batch is about to be handed over
        self.timer = None


class Channel(object):
    """The part of a channel that this process remembers: the messages after `floor`, up to `last`,
    and the watches that wait for more."""
    __slots__ = ("name", "recent", "floor", "last", "watches", "scheduled", "__weakref__")

    def __init__(self, name, position):
        self.name = name
        self.recent = collections.deque()       # of (position, Message)
        self.floor = self.last = position       # None until known
        self.watches = collections.OrderedDict()
        self.scheduled = False

    def append(self, position, message, keep):
        """Remember one more message, and at most `keep` of them."""
        self.recent.append((position, message))
        self.last = position
        if len(self.recent) > keep:
            self.floor = self.recent.popleft()[0]

    def batch_after(self, position):
        """The Batch of the remembered messages after a position."""
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
    """The interface of every feed. Use a feed only from the thread of its loop."""

    def __init__(self, max_messages=MAX_MESSAGES, max_text=MAX_TEXT, io_loop=None):
        if max_messages < 1 or max_text < 1:
            raise ValueError("max_messages and max_text must be 1 or more")
        self.io_loop = io_loop or IOLoop.current()
        self.max_messages = max_messages
        self.max_text = max_text
        self._channels = {}
        self._closed = False

    def statistics(self):
        """The current numbers, as a dict: `channels` that are known here, and `readers` that wait
        for messages."""
        return {"channels": len(self._channels),
                "readers": sum(len(channel.watches) for channel in self._channels.values())}

    # For readers and writers

    def publish(self, channel, text, callback=None, on_error=None):
        """Append a message to a channel; `callback(id)` is called once it is stored. Returns an
        awaitable of the id.

        `text` is unicode (or ASCII); encode other values first, as JSON for instance. Raises
        ValueError if it is longer than `max_text` bytes, TypeError if it is not text.
        """
        raise NotImplementedError()

    def recent(self, channel, limit, callback=None, on_error=None):
        """Call `callback(batch)` with the last messages of a channel, at most `limit`; without
        `callback`, return a Future of the batch.

        The batch's `cursor` is that of the newest message even if `limit` is 0: a page that shows
        these messages continues from there.
        """
        raise NotImplementedError()

    def wait(self, channel, cursor, callback=None, timeout=None):
        """Call `callback(batch)` once, as soon as there are messages after `cursor`.

        `cursor` None means from now on, "0" from the oldest message that is kept. After `timeout`
        seconds (None: never) the batch is empty, with the cursor to continue with, or None if that
        is not known yet. With a timeout of 0 it has the messages that this process already knows.
        Returns a handle for `cancel`, or without `callback` a Future of the batch. Raises
        ValueError for a malformed cursor.
        """
        if callback is None:
            return future_of(self._wait, channel, cursor, timeout)
        watch = self._watch(channel, cursor, callback, True)
        if timeout is not None:
            with NullContext():
                watch.timer = self.io_loop.call_later(timeout, self._expire, watch)
        return watch

    def _wait(self, channel, cursor, timeout, callback, on_error):
        self.wait(channel, cursor, callback, timeout)

    def subscribe(self, channel, callback, cursor=None):
        """Call `callback(batch)` for all messages after `cursor` (None: from now on), until
        `cancel` is called with the handle that this returns.

        A batch is handed out whether or not the last one has reached its reader. To keep to the
        pace of a slow reader, call `wait` again each time it has received a batch.
        """
        return self._watch(channel, cursor, callback, False)

    def cancel(self, handle):
        """End a `wait` or `subscribe`: its callback will not be called again. Harmless if it has
        already ended."""
        if handle.callback is not None:
            self._end(handle)

    def expire(self, handle):
        """End a `wait` now, as its timeout would: its callback gets the messages that are known and
        the cursor to continue with. Harmless if it has already ended.

        A long poll does this in `RequestHandler.on_drain`, so that its reader continues with
        another process and misses nothing. Raises ValueError for the handle of a `subscribe`.
        """
        if not handle.once:
            raise ValueError("a subscription does not expire: cancel it")
        if handle.callback is not None:
            self.io_loop.add_callback(self._expire, handle)

    def close(self):
        """Disconnect from the store and end every `wait` and `subscribe`, without a callback."""
        self._closed = True
        for channel in self._channels.values():
            for watch in list(channel.watches):
                self._end(watch)
        self._channels.clear()

    # Shared by the stores

    def _watch(self, name, cursor, callback, once):
        self._check_open()
        position = parse_cursor(cursor)
        channel = self._channel(self._check_name(name))
        watch = Watch(channel, position, wrap(callback), once)
        with NullContext():
            self._begin(watch)
        return watch

    def _channel(self, name):
        """The Channel of a name, created if necessary. To be defined by the store."""
        raise NotImplementedError()

    def _begin(self, watch):
        """Hand a watch the messages already there for it, and register it for the rest."""
        channel = watch.channel
        channel.watches[watch] = None
        if watch.position is None:
            watch.position = channel.last
        elif watch.position < channel.last:
            self._news(channel)

    def _fetch(self, watch):
        """Get older messages from the store, for a watch that is behind those remembered here.
        Returns whether the store has such messages."""
        return False

    def _check_open(self):
        if self._closed:
            raise FeedUnavailable("this feed is closed")

    def _check_name(self, name):
        if not isinstance(name, six.string_types):
            raise TypeError("the name of a channel must be text, not %r" % (name,))
        if not isinstance(name, six.text_type):
            name = name.decode("ascii")  # version: py2
        if not 1 <= len(name.encode("utf-8")) <= MAX_CHANNEL:
            raise ValueError("the name of a channel must have 1 to %d bytes, not %.60r"
                             % (MAX_CHANNEL, name))
        return name

    def _check_text(self, text):
        """The pair (text, its UTF-8) of a message. Raises TypeError or ValueError."""
        if not isinstance(text, six.string_types):
            raise TypeError("a message must be text, not %r" % type(text).__name__)
        data = text.encode("utf-8")
        if len(data) > self.max_text:
            raise ValueError("a message may have at most %d bytes, not %d"
                             % (self.max_text, len(data)))
        return (text if isinstance(text, six.text_type) else data.decode("utf-8")), data

    def _news(self, channel):
        """Called when a message was appended: schedule a delivery to the channel's watches, one for
        all messages of this turn."""
        if channel.watches and not channel.scheduled:
            channel.scheduled = True
            self.io_loop.spawn_callback(self._fan_out, channel)

    def _fan_out(self, channel):
        channel.scheduled = False
        last = channel.last
        batches = {}    # nearly all watches wait from the same position
        for watch in list(channel.watches):
            position = watch.position
            if position >= last or position < channel.floor and self._fetch(watch):
                continue
            batch = batches.get(position)
            if batch is None:
                batch = batches[position] = channel.batch_after(position)
            self._give(watch, last, batch)

    def _give(self, watch, position, batch):
        """Have the loop hand a batch over. From then on only `cancel` prevents the callback."""
        watch.position = position
        if watch.once:
            watch.given = True
            watch.channel.watches.pop(watch, None)
            self._stop_timer(watch)
        if state.contexts:
            # Those of the publisher do not apply to the watch.
            self.io_loop.spawn_callback(self._hand_over, watch, batch)
        else:
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
        if callback is None or watch.given:
            return
        self._end(watch)
        callback(self._known_after(watch.channel, watch.position))

    def _known_after(self, channel, position):
        """The Batch of the messages that are already known."""
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
