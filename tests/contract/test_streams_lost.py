"""What a lost connection leaves: the last words of the peer, and the right error."""
from __future__ import absolute_import, division, print_function

import errno

from friendserve.iostream import StreamClosedError
from friendserve.platform.pollers.clock import monotonic_time
from tests import PATIENCE
from tests.streamcase import Collector, StreamCase, make_tests


class LostContract(StreamCase):
    def say_and_go(self, words):
        """Have `a` send something and close, without a turn of the loop in which `b` reads it."""
        self.a.write(words)
        self.a.close()

    def write_until_it_fails(self):
        deadline = monotonic_time() + PATIENCE
        while not self.b.closed():
            self.assertLess(monotonic_time(), deadline)
            self.b.write(b"x", self.fail if self.kind == "unix" else None)
        self.assertIsInstance(self.b.error, EnvironmentError)

    def test_b263_the_last_words_are_there_after_a_write_that_failed(self):
        self.b.set_close_callback(self.note("closed"))
        self.say_and_go(b"421 bye\nreally")
        self.write_until_it_fails()
        self.b.read_until(b"\n", self.log.append)
        self.run_until(lambda: len(self.log) == 2)
        self.assertEqual({"closed", b"421 bye\n"}, set(self.log))
        self.assertRaises(StreamClosedError, self.b.read_until, b"\n", self.fail)

    def test_b263_the_last_words_are_there_after_a_shutdown_that_failed(self):
        self.b.read_until_close(self.log.append)
        self.say_and_go(b"421 bye")
        # The peer, which has closed, answers this with a reset.
        self.b.write(b"x")
        self.b.shutdown_write()
        self.expect(b"421 bye")

    def test_b263_more_words_than_one_chunk(self):
        words = b"x" * 90000 + b"\n"
        self.say_and_go(words)
        self.write_until_it_fails()
        self.b.read_until(b"\n", self.log.append)
        self.expect(words)

    def test_b263_no_more_than_the_limit_is_read(self):
        a, self.b = self.make_pair(max_buffer_size=20000)
        a.write(b"x" * 90000)
        a.close()
        self.write_until_it_fails()
        self.assertLessEqual(len(self.b._buffer), 20000 + 16384)

    def test_b263_a_paused_read_gets_the_last_words(self):
        read = Collector(self.log)
        self.b.start_read(read)
        self.say_and_go(b"421 bye")
        self.write_until_it_fails()
        self.expect(b"421 bye", "end")

    def test_b263_all_of_them_if_the_peer_has_closed(self):
        self.b.read_until_close(self.log.append)
        self.say_and_go(b"421 bye")
        self.write_until_it_fails()
        if self.kind == "tls":
            return  # newer ssl modules do not tell which error it was
        self.expect(b"421 bye")

    def test_b262_a_reset_is_not_an_end(self):
        if self.kind == "unix":
            return
        for required in (True, False):
            a, b = self.make_pair()
            if self.kind == "tls" and not required:
                b.require_close_notify = False
            b.set_close_callback(self.note("closed"))
            b.read_until_close(lambda rest: self.log.append(b.error.errno),
                               streaming_callback=self.log.append)
            a.write(b"part")
            self.expect(b"part")
            self.reset(a)
            self.expect(errno.ECONNRESET, "closed")
            self.assertEqual(errno.ECONNRESET, b.error.errno)

    def test_b261_the_end_of_one_side_does_not_harm_the_other(self):
        piece, count = b"x" * 10000, 30
        for _ in range(10):
            a, b = self.make_pair()
            left = [count]

            def stream():
                # As fast as the peer reads, with turns of the loop in between.
                left[0] -= 1
                if left[0]:
                    a.write(piece, stream)
                else:
                    a.write(piece, a.close)
            a.read_until_close(lambda data: self.log.append(data))
            b.read_until_close(lambda data: self.log.append(len(data)))
            b.write(b"enough")
            stream()
            self.loop.run_once(0)
            self.loop.run_once(0)
            b.shutdown_write()
            self.run_until(b.closed)
            self.run_until(lambda: len(self.log) == 2)
            self.assertEqual({b"enough", len(piece) * count}, set(self.log))
            self.assertEqual((None, None), (a.error, b.error))
            del self.log[:]

    def test_b261_the_end_of_one_side_while_it_cannot_be_sent(self):
        self.narrow()
        size = 1000000
        self.b.write(b"x" * size)
        self.b.shutdown_write()
        self.b.shutdown_write()
        self.b.read_bytes(5, self.log.append)
        self.assert_quiet()
        self.a.read_until_close(lambda data: self.log.append(len(data)))
        self.a.write(b"still")
        self.run_until(lambda: len(self.log) == 2)
        self.assertEqual({b"still", size}, set(self.log))
        self.assertIsNone(self.a.error)


make_tests(LostContract, "Lost", globals())
