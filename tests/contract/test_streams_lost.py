"""What a lost connection leaves: the last words of the peer, and which error: plain and TLS sockets,
every poller."""
from __future__ import absolute_import, division, print_function

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


make_tests(LostContract, "Lost", globals())
