"""A connection to a Redis server that is reopened whenever it is lost.

Commands are sent immediately and answered in order (the protocol is RESP 2). `hiredis` parses the
answers: ``python -m pip install 'friendserve[redis]'``.
"""
from __future__ import absolute_import, division, print_function

import collections
import functools
import socket

import hiredis
from six.moves.urllib.parse import parse_qs, unquote, urlsplit

from friendserve.feed.base import FeedError, FeedOutcomeUnknown, FeedUnavailable
from friendserve.iostream import StreamClosedError
from friendserve.log import gen_log
from friendserve.stack_context import NullContext
from friendserve.tcpclient import TCPClient

#: Seconds until the next attempt to connect: the first delay doubles with each failure, up to the
#: last.
FIRST_DELAY, LAST_DELAY = 0.1, 5

#: The states of a link. CONNECTING: an attempt, with its greeting, is under way. UP: commands are
#: answered. DOWN: the last attempt or connection failed; a timer runs until the next attempt.
#: CLOSED: `close` was called.
CONNECTING, UP, DOWN, CLOSED = "connecting", "up", "down", "closed"

#: (from, to) -> to, for every legal move.
MOVES = dict(((old, new), new) for old, news in {
    DOWN: (CONNECTING, CLOSED),
    CONNECTING: (UP, DOWN, CLOSED),
    UP: (DOWN, CLOSED),
    CLOSED: (CLOSED,),
}.items() for new in news)


class RedisAddress(object):
    """The address of a Redis server, given as a URL.

    ``redis://[user:password@]host[:port][/database]``, ``rediss://`` for TLS, or
    ``unix:///path?db=0``. Raises ValueError for anything else.
    """
    def __init__(self, url):
        parts = urlsplit(url)
        if parts.scheme not in ("redis", "rediss", "unix"):
            raise ValueError("a Redis URL must look like redis://localhost:6379/0, "
                             "not %.20r" % url.partition("@")[2 if "@" in url else 0])
        self.tls = parts.scheme == "rediss"
        self.user = unquote(parts.username or "")
        self.password = unquote(parts.password or "")
        if parts.scheme == "unix":
            self.host, self.port, self.path = None, None, unquote(parts.path)
            database = parse_qs(parts.query).get("db", ["0"])[0]
        else:
            self.host, self.port = parts.hostname or "localhost", parts.port or 6379
            self.path = None
            database = parts.path.strip("/") or "0"
        if not database.isdigit():
            raise ValueError("the database in a Redis URL must be a number, not %.20r" % database)
        self.database = int(database)

    def __str__(self):
        return self.path or "%s:%d/%d" % (self.host, self.port, self.database)

    def greeting(self):
        """The commands to send first on a connection."""
        commands = []
        if self.password:
            commands.append(["AUTH"] + ([self.user] if self.user else []) + [self.password])
        if self.database:
            commands.append(["SELECT", str(self.database)])
        return commands


_ANSWERED = "Redis answered: "


def answered_code(error):
    """The first word of an error that Redis answered, such as ``NOPERM``; None for any other."""
    text = str(error)
    return text[len(_ANSWERED):].partition(" ")[0] if text.startswith(_ANSWERED) else None


def encode_command(words):
    """A command as sent: `words` are bytes, or text, which is sent as UTF-8."""
    pieces = [("*%d\r\n" % len(words)).encode("ascii")]
    for word in words:
        data = word if isinstance(word, bytes) else word.encode("utf-8")
        pieces.append(("$%d\r\n" % len(data)).encode("ascii"))
        pieces.append(data)
        pieces.append(b"\r\n")
    return b"".join(pieces)


class RedisLink(object):
    """A link to a Redis server. `on_up()` is called each time it is connected and Redis answers
    commands. The last command of its greeting is `probe`, which reads a key: Redis may be connected
    but still be loading its data. The user need not have the right to run it.

    An attempt to connect, or an answer, that takes longer than `timeout` seconds counts as failed.
    At most `max_pending` commands may wait for an answer.
    """
    def __init__(self, address, io_loop, on_up, timeout=10, max_pending=10000, ssl_options=None,
                 probe=("EXISTS", "")):
        self.address = address
        self.io_loop = io_loop
        self.timeout = timeout
        self.max_pending = max_pending
        self._ssl_options = ({} if ssl_options is None else ssl_options) if address.tls else None
        self._on_up = on_up
        self._probe = probe
        self._client = TCPClient(io_loop=io_loop)
        self._connecting = None                 # the latest attempt
        self._stream = None                     # the connection it made, while that lasts
        self._reader = None
        self._pending = collections.deque()     # of (callback, when it was sent)
        self._waiting = []                      # (words, callback) queued while connecting
        self._delay = FIRST_DELAY
        self._timer = None                      # for the next attempt, or the oldest answer
        self._complained = False
        self.state = DOWN
        self._connect()

    @property
    def up(self):
        """Whether Redis is connected and answers commands."""
        return self.state is UP

    def call(self, callback, *words):
        """Send a command; the loop calls `callback(reply, error)` once. `error` is None on success;
        on failure `reply` is."""
        if self.state is CONNECTING and len(self._waiting) < self.max_pending:
            self._waiting.append((words, callback))
        elif self.state is not UP or len(self._pending) >= self.max_pending:
            self.io_loop.add_callback(callback, None, self._unavailable())
        else:
            self._send(words, callback)

    def close(self):
        """Close the connection for good. Commands that have no answer yet fail."""
        self._move(CLOSED)
        self._set_timer(None)
        self._disconnect()
        self._client.close()
        self._fail_all(FeedUnavailable("this feed is closed"))

    def _move(self, state):
        self.state = MOVES[self.state, state]

    def _unavailable(self):
        if self.state is UP:
            return FeedUnavailable("%d commands are already waiting for Redis at %s"
                                   % (self.max_pending, self.address))
        return FeedUnavailable("Redis at %s is unavailable" % self.address)

    # Connecting

    def _connect(self):
        self._move(CONNECTING)
        self._timer = None      # it has called this method, or there was none
        host, family = self.address.host, socket.AF_UNSPEC
        if self.address.path is not None:
            host, family = self.address.path, socket.AF_UNIX
        with NullContext():
            self._connecting = self._client.connect(
                host, self.address.port, family, self._ssl_options, timeout=self.timeout,
                callback=self._on_connect, on_error=self._lost)

    def _on_connect(self, stream):
        self._stream = stream
        self._reader = hiredis.Reader()
        stream.set_nodelay(True)
        stream.set_close_callback(functools.partial(self._on_close, stream))
        try:
            stream.read_until_close(streaming_callback=functools.partial(self._on_data, stream))
        except StreamClosedError:
            # The close callback, which is scheduled, reports it.
            return
        on_greeting = functools.partial(self._on_greeting, stream)
        for words in self.address.greeting():
            self._send(words, on_greeting)
        # While Redis loads its data it answers other commands, but this one with an error.
        self._send(self._probe, functools.partial(self._on_probe, stream))

    def _on_probe(self, stream, reply, error):
        if error is not None and answered_code(error) in ("NOPERM", "WRONGTYPE"):
            # It was not refused because of the state of Redis.
            error = None
        self._on_greeting(stream, reply, error)

    def _on_greeting(self, stream, reply, error):
        if stream is not self._stream:
            return
        if error is not None:
            # For example, Redis refused the password, or is still loading its data.
            self._lost(error)
        elif not self._pending and self.state is CONNECTING:
            self._move(UP)
            self._delay = FIRST_DELAY
            if self._complained:
                self._complained = False
                gen_log.info("Redis at %s is available again", self.address)
            self._on_up()
            waiting, self._waiting = self._waiting, []
            for words, callback in waiting:
                self._send(words, callback)

    def _on_close(self, stream):
        if stream is self._stream:
            self._lost(stream.error or "it closed the connection")

    def _lost(self, reason):
        """Give up the attempt or connection, and try again later."""
        self._disconnect()
        if not self._complained:
            self._complained = True
            gen_log.warning("Redis at %s is unavailable: %s", self.address, reason)
        self._move(DOWN)
        self._set_timer(self.io_loop.time() + self._delay, self._connect)
        self._delay = min(2 * self._delay, LAST_DELAY)
        self._fail_all(FeedOutcomeUnknown(
            "the connection to Redis at %s was lost before it answered" % self.address))

    def _disconnect(self):
        """End the attempt or close the connection; neither calls back afterwards."""
        self._connecting.cancel()
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _fail_all(self, error):
        pending, self._pending = self._pending, collections.deque()
        waiting, self._waiting = self._waiting, []
        for callback, _ in pending:
            self.io_loop.add_callback(callback, None, error)
        for _, callback in waiting:
            self.io_loop.add_callback(callback, None, self._unavailable())

    # Commands and answers

    def _send(self, words, callback):
        now = self.io_loop.time()
        self._pending.append((callback, now))
        if self._timer is None:
            self._set_timer(now + self.timeout, self._check_oldest)
        # On a closed stream the close callback, which is scheduled, fails the command.
        try:
            self._stream.write(encode_command(words))
        except StreamClosedError:
            pass

    def _on_data(self, stream, data):
        if stream is not self._stream:
            return
        reader = self._reader
        try:
            reader.feed(data)
            reply = reader.gets()
            while reply is not False:
                callback = self._pending.popleft()[0]
                if isinstance(reply, hiredis.ReplyError):
                    callback(None, FeedError(_ANSWERED + str(reply)))
                else:
                    callback(reply, None)
                if stream is not self._stream:
                    return
                reply = reader.gets()
        except (hiredis.ProtocolError, IndexError) as error:
            self._lost("it is not a Redis server: %s" % error)

    def _check_oldest(self):
        self._timer = None
        if self._pending:
            due = self._pending[0][1] + self.timeout
            if due <= self.io_loop.time():
                self._lost("no answer for %s seconds" % self.timeout)
            else:
                self._set_timer(due, self._check_oldest)

    def _set_timer(self, when, callback=None, *args):
        if self._timer is not None:
            self.io_loop.remove_timeout(self._timer)
            self._timer = None
        if when is not None:
            with NullContext():
                self._timer = self.io_loop.call_at(when, callback, *args)
