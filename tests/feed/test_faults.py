"""A feed on Redis when Redis, the network or a process fails: no message is lost or duplicated."""
from __future__ import absolute_import, division, print_function

import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import unittest

from friendserve.escape import json_decode
from friendserve.feed import FeedError, FeedOutcomeUnknown, FeedUnavailable, RedisFeed, open_feed
from friendserve.iostream import IOStream
from friendserve.netutil import bind_sockets
from friendserve.tcpserver import TCPServer
from tests import ROOT, missing, services
from tests.feedcase import FeedCase, texts
from tests.httpcase import CA, SERVER_OPTIONS, LogCatcher

FEED_NODE = os.path.join(ROOT, "tests", "feed_node.py")
READERS = 2000


class Load(object):
    """Publishes one message after another: `kept` are those confirmed by their callback,
    `failed` those reported as errors."""
    def __init__(self, feed, loop):
        self.feed = feed
        self.loop = loop
        self.number = 0
        self.kept, self.failed, self.errors = [], [], set()
        self.running = True
        for _ in range(20):
            self.publish()

    def publish(self):
        if not self.running:
            return
        self.number += 1
        text = u"%d" % self.number
        self.feed.publish("room", text, lambda message_id: self.on_kept(text),
                          lambda error: self.on_error(text, error))

    def on_kept(self, text):
        self.kept.append(text)
        self.publish()

    def on_error(self, text, error):
        self.failed.append(text)
        self.errors.add(type(error))
        self.loop.call_later(0.01, self.publish)

    def over(self):
        return len(self.kept) + len(self.failed) == self.number


@unittest.skipUnless(RedisFeed, missing("hiredis"))
@services.needs(services.Redis)
class RedisFaults(FeedCase):
    def setUp(self):
        super(RedisFaults, self).setUp()
        self.redis = services.Redis()
        self.addCleanup(self.redis.close)

    def make_feed(self, **options):
        feed = open_feed(self.redis.url(), max_messages=10 ** 6, **options)
        self.feeds.append(feed)
        return feed

    def fail_under_load(self, fault):
        """Publish while `fault()` is called three times. Every kept message must reach a subscriber
        and a chain of waits once, in order."""
        feed, reader = self.make_feed(), self.make_feed()
        pushed, pulled = [], []
        reader.subscribe("room", pushed.append, "0")

        def pull(batch):
            pulled.append(batch)
            reader.wait("room", batch.cursor, pull)

        reader.wait("room", "0", pull)
        load = Load(feed, self.loop)
        for _ in range(3):
            enough = len(load.kept) + 200
            self.run_until(lambda: len(load.kept) > enough)
            with LogCatcher() as records:
                fault()
                enough = len(load.kept) + 200
                self.run_until(lambda: len(load.kept) > enough)
            # Each of four connections is lost once and restored once.
            self.assertLessEqual(len(records), 8, [record.getMessage() for record in records])
        load.running = False
        self.run_until(load.over)
        last = []
        feed.recent("room", 10 ** 6, last.append)
        self.run_until(lambda: last)
        stored = texts(last)
        for seen in (pushed, pulled):
            self.run_until(lambda: len(texts(seen)) >= len(stored))
            self.assertEqual(stored, texts(seen))
            self.assertTrue(all(batch.complete for batch in seen))
        self.assertEqual(len(stored), len(set(stored)), "a message is there twice")
        self.assertEqual(set(), set(load.kept) - set(stored), "a kept message is lost")
        self.assertLessEqual(load.errors, {FeedOutcomeUnknown, FeedUnavailable})
        return load

    def test_redis_is_killed_and_started_again(self):
        def fault():
            self.redis.kill()
            for _ in range(20):
                self.loop.run_once(0.01)
            self.redis.start()

        load = self.fail_under_load(fault)
        self.assertIn(FeedUnavailable, load.errors)

    def test_redis_is_stopped_and_started_again(self):
        def fault():
            self.redis.stop()
            self.redis.start()

        self.fail_under_load(fault)

    def test_connections_are_cut(self):
        def fault():
            sock = socket.create_connection(("127.0.0.1", self.redis.port), 5)
            sock.sendall(b"CLIENT KILL TYPE normal SKIPME yes\r\n")
            self.assertEqual(b":4\r\n", sock.recv(100))
            sock.close()

        self.fail_under_load(fault)

    def test_readers_that_ask_while_redis_is_away(self):
        feed = self.make_feed()
        ids, batches, errors = [], [], []
        feed.publish("room", u"before", ids.append)
        self.run_until(lambda: ids)
        self.redis.stop()
        self.run_until(lambda: not feed._commands.up)
        feed.wait("room", "0", batches.append)
        feed.publish("room", u"x", None, errors.append)
        feed.recent("room", 5, None, errors.append)
        self.run_until(lambda: len(errors) == 2)
        self.assertEqual([FeedUnavailable] * 2, [type(error) for error in errors])
        self.assertIn("127.0.0.1:%d" % self.redis.port, str(errors[0]))
        timed_out = []
        feed.wait("room", ids[0], timed_out.append, timeout=0.01)
        self.run_until(lambda: timed_out)
        self.assertEqual(([], ids[0]), (timed_out[0].messages, timed_out[0].cursor))
        self.redis.start()
        self.run_until(lambda: batches)
        self.assertEqual([u"before"], texts(batches))

    def test_an_error_without_on_error_is_raised_to_the_caller(self):
        feed = self.make_feed()
        self.redis.stop()
        self.run_until(lambda: not feed._commands.up)
        with LogCatcher() as records:
            feed.publish("room", u"x")
            self.run_until(lambda: any(
                record.exc_info and record.exc_info[0] is FeedUnavailable for record in records))

    def test_a_redis_that_does_not_answer(self):
        feed = self.make_feed(timeout=0.1)
        ids, errors = [], []
        feed.publish("room", u"x", ids.append)
        self.run_until(lambda: ids)
        self.redis.process.send_signal(signal.SIGSTOP)
        try:
            feed.publish("room", u"y", None, errors.append)
            self.run_until(lambda: errors)
        finally:
            self.redis.process.send_signal(signal.SIGCONT)
        self.assertIsInstance(errors[0], FeedOutcomeUnknown)

        def again(error=None):
            feed.publish("room", u"z", ids.append, lambda error: self.loop.call_later(0.01, again))

        again()
        self.run_until(lambda: len(ids) == 2)

    def test_a_redis_that_does_not_answer_after_a_reconnect(self):
        class Silent(TCPServer):
            def handle_stream(self, stream, address):
                streams.append(stream)
                if len(streams) <= 2:
                    # The two links of a feed connect again.
                    stream.close()

        streams = []
        self.addCleanup(lambda: [stream.close() for stream in streams])
        server = Silent(io_loop=self.loop)
        self.addCleanup(server.stop)
        sock, = bind_sockets(0, "127.0.0.1")
        server.add_socket(sock)
        with LogCatcher():
            self.feeds.append(open_feed("redis://127.0.0.1:%d/0" % sock.getsockname()[1],
                                        timeout=0.01))
            self.run_until(lambda: len(streams) >= 6)

    def test_pending_commands_are_bounded(self):
        feed = self.make_feed(max_pending=10)
        outcomes = []
        for _ in range(25):
            feed.publish("room", u"x", outcomes.append, outcomes.append)
        self.run_until(lambda: len(outcomes) == 25)
        self.assertEqual(15, sum(isinstance(one, FeedUnavailable) for one in outcomes))

    def test_b330_pending_commands_are_bounded_while_redis_is_up(self):
        feed = self.make_feed(max_pending=10)
        outcomes = []
        feed.publish("room", u"x", outcomes.append, outcomes.append)
        self.run_until(lambda: outcomes)
        del outcomes[:]
        self.redis.process.send_signal(signal.SIGSTOP)
        self.addCleanup(self.redis.process.send_signal, signal.SIGCONT)
        for _ in range(25):
            feed.publish("room", u"x", outcomes.append, outcomes.append)
        self.run_until(lambda: len(outcomes) == 15)
        self.assertEqual(set(["10 commands are already waiting for Redis at 127.0.0.1:%d/0"
                              % self.redis.port]), set(map(str, outcomes)))
        self.assertEqual(set([FeedUnavailable]), set(map(type, outcomes)))
        self.redis.process.send_signal(signal.SIGCONT)
        self.run_until(lambda: len(outcomes) == 25)
        self.assertEqual(set([str]), set(map(type, outcomes[15:])))
        # There is room again.
        feed.publish("room", u"x", outcomes.append, outcomes.append)
        self.run_until(lambda: len(outcomes) == 26)
        self.assertEqual(str, type(outcomes[25]))

    def test_a_channel_that_is_no_stream(self):
        sock = socket.create_connection(("127.0.0.1", self.redis.port), 5)
        sock.sendall(b"SET feed:room x\r\n")
        self.assertEqual(b"+OK\r\n", sock.recv(100))
        sock.close()
        errors, batches = [], []
        feed = self.make_feed()
        feed.publish("room", u"x", None, errors.append)
        feed.wait("room", None, batches.append)
        feed.wait("another", "0", batches.append)
        feed.publish("another", u"x")
        self.run_until(lambda: errors and batches)
        self.assertIs(FeedError, type(errors[0]))
        self.assertIn("WRONGTYPE", str(errors[0]))

    def test_what_is_no_redis(self):
        class Misleading(TCPServer):
            def handle_stream(self, stream, address):
                stream.write(b"HTTP/1.1 400 Bad Request\r\n\r\n", stream.close)

        server = Misleading(io_loop=self.loop)
        self.addCleanup(server.stop)
        sock, = bind_sockets(0, "127.0.0.1")
        server.add_socket(sock)
        with LogCatcher() as records:
            feed = open_feed("redis://127.0.0.1:%d/0" % sock.getsockname()[1])
            self.feeds.append(feed)
            errors = []
            feed.publish("room", u"x", None, errors.append)
            self.run_until(lambda: errors)
        self.assertIsInstance(errors[0], FeedUnavailable)
        self.assertIn("not a Redis", records[0].getMessage())

    def test_a_wrong_password_is_told(self):
        with LogCatcher() as records:
            feed = open_feed(self.redis.url().replace("redis://", "redis://:secret@"))
            self.feeds.append(feed)
            errors = []
            feed.publish("room", u"x", None, errors.append)
            self.run_until(lambda: errors)
        text = records[0].getMessage() + str(errors[0])
        self.assertIn("AUTH", text)
        self.assertNotIn("secret", text)

    def test_urls(self):
        for url in ("http://localhost", "localhost:6379", "redis://localhost/x", ""):
            with self.assertRaises(ValueError):
                open_feed(url)


class RedisOnASocket(services.Redis):
    """A Redis that also listens on `socket`, the path of a Unix socket."""

    def command(self):
        self.socket = os.path.join(self.folder, "socket")
        return super(RedisOnASocket, self).command() + ["--unixsocket", self.socket]


class TLSRelay(TCPServer):
    """Passes connections over TLS on to a port of loopback."""

    def __init__(self, port, io_loop):
        super(TLSRelay, self).__init__(io_loop=io_loop, ssl_options=SERVER_OPTIONS)
        self._port = port
        sock, = bind_sockets(0, "127.0.0.1")
        self.add_socket(sock)
        self.port = sock.getsockname()[1]
        self.streams = []

    def handle_stream(self, stream, address):
        onward = IOStream(socket.socket(), self.io_loop)
        onward.connect(("127.0.0.1", self._port))
        self.streams += [stream, onward]
        stream.read_until_close(streaming_callback=onward.write)
        onward.read_until_close(streaming_callback=stream.write)

    def close(self):
        self.stop()
        for stream in self.streams:
            stream.close()


@unittest.skipUnless(RedisFeed, missing("hiredis"))
@services.needs(services.Redis)
class RedisConnections(FeedCase):
    """How a feed on Redis finds and reaches its server."""

    def look_up_by(self, function):
        """Replace socket.getaddrinfo by `function` for this test."""
        self.addCleanup(setattr, socket, "getaddrinfo", socket.getaddrinfo)
        socket.getaddrinfo = function

    def make_feed(self, url, **options):
        feed = RedisFeed(url, prefix=self.id() + ":", **options)
        self.feeds.append(feed)
        return feed

    def check(self, feed):
        """Assert that a published message arrives."""
        batches, errors = [], []
        feed.wait("room", "0", batches.append)
        feed.publish("room", u"here", None, errors.append)
        self.run_until(lambda: batches or errors)
        self.assertEqual(([], [u"here"]), (errors, texts(batches)))

    def test_the_loop_turns_while_a_name_is_looked_up(self):
        look_up = socket.getaddrinfo
        asked, answer, turns_before_answer = threading.Event(), threading.Event(), []
        turns = [0]

        def look_up_slowly(*args):
            asked.set()
            answer.wait(1)
            turns_before_answer.append(turns[0])
            return look_up(*args)

        port = services.shared(services.Redis).port
        self.look_up_by(look_up_slowly)
        with LogCatcher():
            feed = self.make_feed("redis://localhost:%d" % port)
            self.run_until(asked.is_set)
            for _ in range(10):
                self.loop.run_once(0)
                turns[0] += 1
            answer.set()
            self.check(feed)
        self.assertGreaterEqual(min(turns_before_answer), 10)

    def test_a_look_up_without_an_answer_ends_with_the_timeout(self):
        answer = threading.Event()
        self.addCleanup(answer.set)
        look_up = socket.getaddrinfo

        def look_up_never(*args):
            answer.wait(1)
            return look_up(*args)

        self.look_up_by(look_up_never)
        errors = []
        with LogCatcher() as records:
            feed = self.make_feed("redis://localhost:1", timeout=0.01)
            feed.publish("room", u"x", None, errors.append)
            self.run_until(lambda: errors)
        self.assertEqual([FeedUnavailable], [type(error) for error in errors])
        self.assertIn("find the address", records[0].getMessage())

    def test_the_next_address_is_tried_when_the_first_does_not_answer(self):
        port = services.shared(services.Redis).port

        def look_up(host, *args):
            self.assertEqual("localhost", host)
            return [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
                    (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

        self.look_up_by(look_up)
        self.check(self.make_feed("redis://localhost:%d" % port))

    def test_unix_socket(self):
        redis = RedisOnASocket()
        self.addCleanup(redis.close)
        self.check(self.make_feed("unix://%s?db=1" % redis.socket))

    def test_tls(self):
        relay = TLSRelay(services.shared(services.Redis).port, self.loop)
        self.addCleanup(relay.close)
        url = "rediss://localhost:%d" % relay.port
        self.check(self.make_feed(url, ssl_options={"ca_certs": CA}))
        errors = []
        with LogCatcher() as records:
            self.make_feed(url).publish("room", u"x", None, errors.append)
            self.run_until(lambda: errors)
        self.assertEqual([FeedUnavailable], [type(error) for error in errors])
        self.assertIn("CERTIFICATE_VERIFY_FAILED", records[0].getMessage().upper())


class Reader(object):
    """A client that keeps polling: one node, and the next one when that disappears."""
    def __init__(self, ports, loop, cursor, number):
        self.ports = ports
        self.loop = loop
        self.cursor = cursor
        self.node = number
        self.texts = []
        self.stream = None
        self.connect()

    def connect(self):
        self.node += 1
        stream = self.stream = IOStream(socket.socket(), self.loop)
        stream.set_close_callback(lambda: self.loop.call_later(0.05, self.connect))
        stream.connect(("127.0.0.1", self.ports[self.node % len(self.ports)]), self.ask)

    def ask(self):
        self.stream.write(("GET /wait?cursor=%s HTTP/1.1\r\nHost: x\r\n\r\n"
                           % self.cursor).encode("ascii"))
        self.stream.read_until(b"\r\n\r\n", self.on_head)

    def on_head(self, head):
        length = int(re.search(br"Content-Length: (\d+)", head).group(1))
        self.stream.read_bytes(length, self.on_body)

    def on_body(self, body):
        answer = json_decode(body)
        self.texts.extend(answer["texts"])
        self.cursor = answer["cursor"]
        self.ask()

    def close(self):
        self.stream.set_close_callback(None)
        self.stream.close()


@unittest.skipUnless(RedisFeed, missing("hiredis"))
@services.needs(services.Redis)
class Nodes(FeedCase):
    """Two processes and 2,000 waiting clients, through one Redis."""

    def setUp(self):
        super(Nodes, self).setUp()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < READERS + 500:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, READERS + 500), hard))
            self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        self.redis = services.Redis()
        self.addCleanup(self.redis.close)
        self.nodes = [self.start_node() for _ in range(2)]
        self.ports = [int(node.stdout.readline()) for node in self.nodes]

    def start_node(self):
        node = subprocess.Popen(
            [sys.executable, FEED_NODE, self.redis.url()],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, close_fds=True)

        def end():
            if node.poll() is None:
                node.kill()
            node.communicate()

        self.addCleanup(end)
        return node

    def waiting(self):
        """The number of long polls that wait on both nodes."""
        answers = []
        for port in self.ports:
            stream = IOStream(socket.socket(), self.loop)
            stream.connect(("127.0.0.1", port))
            stream.write(b"GET /count HTTP/1.0\r\n\r\n")
            stream.read_until_close(answers.append)
        self.run_until(lambda: len(answers) == len(self.ports))
        return sum(int(answer.rpartition(b"\r\n\r\n")[2]) for answer in answers)

    def test_a_node_redis_and_the_network_fail(self):
        feed = open_feed(self.redis.url(), max_messages=10 ** 6)
        self.feeds.append(feed)
        kept = []
        feed.publish("room", u"first", kept.append)
        self.run_until(lambda: kept)
        readers = [Reader(self.ports, self.loop, kept[0], number) for number in range(READERS)]
        for reader in readers:
            self.addCleanup(reader.close)
        self.run_until(lambda: self.waiting() == READERS)
        load = Load(feed, self.loop)

        def go_on(messages=30):
            enough = len(load.kept) + messages
            self.run_until(lambda: len(load.kept) > enough)

        go_on()
        self.nodes[0].kill()
        self.nodes[0].wait()
        go_on()
        self.redis.kill()
        self.redis.start()
        go_on()
        sock = socket.create_connection(("127.0.0.1", self.redis.port), 5)
        sock.sendall(b"CLIENT KILL TYPE normal SKIPME yes\r\n")
        self.assertEqual(b":", sock.recv(1))
        sock.close()
        go_on()
        load.running = False
        self.run_until(load.over)
        last = []
        feed.recent("room", 10 ** 6, last.append)
        self.run_until(lambda: last)
        stored = texts(last)[1:]
        self.assertEqual(set(), set(load.kept) - set(stored))
        self.run_until(lambda: all(len(reader.texts) >= len(stored) for reader in readers))
        self.assertEqual([], [number for number, reader in enumerate(readers)
                              if reader.texts != stored])
