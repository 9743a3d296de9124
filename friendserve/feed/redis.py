"""The feed of many processes on many machines: Redis Streams keep the messages.

    from friendserve.feed.redis import RedisFeed

    feed = RedisFeed("redis://localhost:6379/0")
    feed.subscribe("room", on_batch)
    feed.publish("room", u"Hello, all of you!", on_error=on_error)

Each channel is a stream (XADD, XREAD) and the id of a message is that of its entry, so a cursor is
valid on every machine. A process has two connections, however many channels and readers there are:
one for commands, and one on which a single XREAD waits for news of all channels watched in this
process. When Redis or the network has failed, both are reopened, and XREAD continues after the last
entry it returned, so no message is lost or delivered twice. Redis must be 5.0 or newer; its
``appendonly`` setting decides which messages survive its own restart.

A Redis user needs the rights to XREAD and XREVRANGE on the keys, to publish also XADD, and SELECT
for a database other than 0. With CLIENT ID and CLIENT UNBLOCK, news of a channel that is watched
for the first time are not delayed (`SHORT_BLOCK`). For example::

    ACL SETUSER feed on >password ~feed:* +xadd +xread +xrevrange +client|id +client|unblock
"""
from __future__ import absolute_import, division, print_function

import functools

import six

from friendserve.awaitable import Outcome, future_of
from friendserve.feed.base import (
    MAX_MESSAGES, MAX_TEXT, START, Batch, Channel, Feed, Message, format_cursor, parse_cursor)
from friendserve.feed.resp import RedisAddress, RedisLink, answered_code
from friendserve.log import gen_log
from friendserve.stack_context import NullContext, wrap
from friendserve.util import raise_error

#: Messages that a process remembers of each channel, to avoid asking for them again.
REMEMBERED = 100

#: The most messages that one command fetches.
PAGE = 500

#: Seconds for which one XREAD waits. Without a reply soon after, the connection counts as lost.
BLOCK = 5

#: The same if an XREAD cannot be ended early, for lack of the right to CLIENT: for this long, it
#: may miss channels that were opened after it was sent.
SHORT_BLOCK = 0.25

#: Seconds for which a channel without readers is still watched: between two long polls, its readers
#: are absent for a moment.
LINGER = 15

#: Seconds until a command that Redis refused is sent again.
AGAIN = 1

_FIELD = b"text"


class RedisFeed(Feed):
    """A feed on Redis Streams.

    `url` is as in `friendserve.feed.resp.RedisAddress`; `prefix` begins the keys of the streams.
    A stream is trimmed to about `max_messages`, when Redis finds that cheap. Redis must accept a
    connection, and answer a command, within `timeout` seconds. Up to `max_pending` commands may
    wait for an answer; with more, `publish` and `recent` fail. They also fail while Redis is
    unavailable: with FeedUnavailable if nothing was sent, with FeedOutcomeUnknown if the connection
    was lost before the answer.
    """
    def __init__(self, url="redis://localhost:6379/0", prefix="feed:", max_messages=MAX_MESSAGES,
                 max_text=MAX_TEXT, timeout=10, max_pending=10000, ssl_options=None, io_loop=None):
        super(RedisFeed, self).__init__(max_messages, max_text, io_loop)
        self._prefix = prefix.encode("utf-8")
        self._client_id = None      # of the connection for news; None: it cannot be unblocked
        self._refused = set()       # commands and errors that were logged
        self._reading = None        # {key: channel} of the XREAD under way
        self._unblocking = False
        self._again = []            # functions that send again once Redis is back
        self._fetching = {}         # {(channel, position): watches that are behind}
        address = RedisAddress(url)
        # A command that the feed needs anyway, on a key that begins like those of its streams.
        probe = b"XREVRANGE", self._prefix, b"+", b"-", b"COUNT", b"1"
        self._commands = RedisLink(address, self.io_loop, self._on_commands_up, timeout,
                                   max_pending, ssl_options, probe)
        self._news_link = RedisLink(address, self.io_loop, self._on_news_up, timeout + BLOCK,
                                    max_pending, ssl_options, probe)

    def publish(self, channel, text, callback=None, on_error=None):
        self._check_open()
        key = self._key(self._check_name(channel))
        data = self._check_text(text)[1]
        outcome = None
        if callback is None and on_error is None:
            outcome = Outcome()
            callback, on_error = outcome.callback, outcome.on_error
        self._ask(callback, on_error, _to_id, b"XADD", key, b"MAXLEN", b"~",
                  str(self.max_messages), b"*", _FIELD, data)
        return outcome

    def recent(self, channel, limit, callback=None, on_error=None):
        if callback is None and on_error is None:
            return future_of(self.recent, channel, limit)
        self._check_open()
        name = self._check_name(channel)
        # Even for a `limit` of 0 the newest entry is needed, for its id.
        self._ask(callback, on_error, functools.partial(_to_recent, name, limit),
                  b"XREVRANGE", self._key(name), b"+", b"-", b"COUNT", str(max(limit, 1)))

    def close(self):
        super(RedisFeed, self).close()
        for watches in self._fetching.values():
            for watch in watches:
                self._end(watch)
        self._fetching.clear()
        self._reading = None
        self._commands.close()
        self._news_link.close()

    def _key(self, name):
        return self._prefix + name.encode("utf-8")

    def _ask(self, callback, on_error, convert, *words):
        """Send a command, and have the loop call one of the two callbacks with the outcome."""
        succeed = wrap(callback)
        fail = wrap(on_error or raise_error)

        def on_reply(reply, error):
            if error is not None:
                self.io_loop.spawn_callback(fail, error)
            elif succeed is not None:
                self.io_loop.spawn_callback(succeed, convert(reply))

        self._commands.call(on_reply, *words)

    def _insist(self, on_reply, *words):
        """Send a command, again after each failure, until it succeeds."""
        def send():
            if not self._closed:
                self._commands.call(on_outcome, *words)

        def on_outcome(reply, error):
            if self._closed:
                return
            if error is None:
                on_reply(reply)
            elif self._commands.up:
                self._complain(error, *words)
                self.io_loop.call_later(AGAIN, send)
            else:
                self._again.append(send)

        send()

    def _complain(self, error, *words):
        """Log that Redis refused a command; only once if the user lacks a right."""
        command = u" ".join([six.ensure_text(word, "utf-8", "replace") for word in words])[:100]
        if answered_code(error) != "NOPERM":
            gen_log.warning("%s, to %s", error, command)
        elif (words[0], str(error)) not in self._refused:
            self._refused.add((words[0], str(error)))
            gen_log.warning("the Redis user of this feed lacks a right: %s, to %s", error, command)

    def _on_commands_up(self):
        self._refused.clear()
        again, self._again = self._again, []
        for send in again:
            send()

    # Opening a channel

    def _channel(self, name):
        channel = self._channels.get(name)
        if channel is None:
            channel = self._channels[name] = _RedisChannel(name, self._key(name))
            with NullContext():
                # The newest entry is where "from now on" begins.
                self._insist(functools.partial(self._on_opened, channel),
                             b"XREVRANGE", channel.key, b"+", b"-", b"COUNT", b"1")
        return channel

    def _on_opened(self, channel, entries):
        channel.floor = channel.last = _position(entries[0][0]) if entries else START
        for watch in list(channel.watches):
            self._begin(watch)
        self._listen()

    def _begin(self, watch):
        channel = watch.channel
        if channel.last is None:
            channel.watches[watch] = None       # `_on_opened` begins again
        elif watch.position is None or watch.position >= channel.floor:
            super(RedisFeed, self)._begin(watch)
        else:
            self._fetch(watch)

    # News: one XREAD after another, for all channels

    def _on_news_up(self):
        self._reading = self._client_id = None
        self._unblocking = False
        self._news_link.call(self._on_client_id, b"CLIENT", b"ID")

    def _on_client_id(self, reply, error):
        if self._closed or not self._news_link.up:
            return
        if error is None:
            self._client_id = reply
        else:
            self._complain(error, b"CLIENT", b"ID")
        self._listen()

    def _listen(self):
        """Make sure that an XREAD is under way for every channel."""
        if self._closed or not self._news_link.up:
            return
        if self._reading is not None:
            if self._client_id is not None and not self._unblocking and any(
                    channel.last is not None and channel.key not in self._reading
                    for channel in self._channels.values()):
                self._unblocking = True
                self._unblock(self._reading)
            return
        now = self.io_loop.time()
        channels = {}
        for channel in list(self._channels.values()):
            if channel.watches:
                channel.watched = now
            elif channel.last is not None and now - (channel.watched or now) > LINGER:
                del self._channels[channel.name]
                continue
            if channel.last is not None:
                channels[channel.key] = channel
        if channels:
            self._reading = channels
            block = SHORT_BLOCK if self._client_id is None else BLOCK
            self._news_link.call(
                functools.partial(self._on_news, channels), b"XREAD", b"COUNT", str(REMEMBERED),
                b"BLOCK", str(int(1000 * block)), b"STREAMS",
                *list(channels) + [format_cursor(channels[key].last) for key in channels])

    def _unblock(self, reading):
        """End the XREAD under way. It may not have reached Redis yet, so try until it has ended."""
        def on_reply(reply, error):
            if reading is not self._reading:
                return
            if answered_code(error) is not None:
                # This XREAD ends after BLOCK; the next ones are shorter.
                self._client_id = None
                self._complain(error, b"CLIENT", b"UNBLOCK")
            elif error is not None:
                self.io_loop.call_later(AGAIN, self._unblock, reading)
            elif not reply:
                self._unblock(reading)

        if reading is self._reading:
            self._commands.call(on_reply, b"CLIENT", b"UNBLOCK", str(self._client_id))

    def _on_news(self, reading, reply, error):
        if reading is not self._reading:
            return
        self._reading = None
        self._unblocking = False
        if error is not None:
            if self._news_link.up:
                self._complain(error, b"XREAD", *reading)
                self.io_loop.call_later(AGAIN, self._listen)
            return
        for key, entries in reply or ():
            channel = reading[key]
            for position, message in _messages(channel.name, entries):
                channel.append(position, message, REMEMBERED)
            self._news(channel)
        self._listen()

    # Readers behind the messages remembered here

    def _fetch(self, watch):
        channel = watch.channel
        channel.watches.pop(watch, None)
        behind = (channel, watch.position)
        watches = self._fetching.setdefault(behind, [])
        watches.append(watch)
        if len(watches) == 1:
            self._insist(functools.partial(self._on_page, behind, channel.last),
                         b"XREAD", b"COUNT", str(PAGE), b"STREAMS", channel.key,
                         format_cursor(watch.position))
        return True

    def _known_after(self, channel, position):
        if position is not None and (channel.last is None or position < channel.floor):
            # The messages have been requested, but have not arrived.
            return Batch([], format_cursor(position), True)
        return super(RedisFeed, self)._known_after(channel, position)

    def _on_page(self, behind, known, reply):
        channel = behind[0]
        page = _messages(channel.name, reply[0][1]) if reply else []
        # Not XRANGE, which would be one more right.
        self._insist(functools.partial(self._on_oldest, behind, known, page),
                     b"XREAD", b"COUNT", b"1", b"STREAMS", channel.key, format_cursor(START))

    def _on_oldest(self, behind, known, page, reply):
        entries = reply[0][1] if reply else ()
        position = behind[1]
        # A cursor is the id of a message; if that message is still there, so are all after it.
        complete = position == START or bool(entries) and _position(entries[0][0]) <= position
        messages = [message for _, message in page if message is not None]
        # An empty page means: nothing up to the last entry that was known when it was asked for.
        position = page[-1][0] if page else max(position, known)
        batch = Batch(messages, format_cursor(position), complete)
        for watch in self._fetching.pop(behind):
            if watch.callback is None:
                continue
            if messages:
                self._give(watch, position, batch)
            else:
                watch.position = position
            if not messages or not watch.once:
                self._begin(watch)


class _RedisChannel(Channel):
    """A channel with its key and the time when it last had a reader."""
    __slots__ = ("key", "watched")

    def __init__(self, name, key):
        super(_RedisChannel, self).__init__(name, None)
        self.key = key
        self.watched = None

    def append(self, position, message, keep):
        if message is None:
            self.last = position
        else:
            super(_RedisChannel, self).append(position, message, keep)


def _position(entry_id):
    return parse_cursor(entry_id.decode("ascii"))


def _messages(name, entries):
    """Pairs of a position and a Message, or None for an entry that a feed did not write."""
    pairs = []
    for entry_id, fields in entries:
        text = fields[1].decode("utf-8", "replace") if fields and fields[0] == _FIELD else None
        pairs.append((_position(entry_id),
                      None if text is None else Message(_to_id(entry_id), name, text)))
    return pairs


def _to_id(entry_id):
    return str(entry_id.decode("ascii"))


def _to_recent(name, limit, entries):
    messages = [message for _, message in _messages(name, entries[:limit]) if message is not None]
    messages.reverse()
    return Batch(messages, _to_id(entries[0][0]) if entries else format_cursor(START), True)
