"""How streams end, and that none keeps the loop busy: plain and TLS sockets, every poller."""
from __future__ import absolute_import, division, print_function

import functools
import gc
import weakref

from friendserve.iostream import StreamBufferFullError, StreamClosedError
from friendserve.iostream.buffers import PAUSE, Read
from friendserve.stack_context import ExceptionStackContext, StackContext
from tests.loopcase import LogCatcher, is_gone, keeping, stack_depth
from tests.streamcase import Collector, StreamCase, make_tests


class EndContract(StreamCase):
    # The end

    def test_b063_data_first_then_the_close_callback_once(self):
        self.b.set_close_callback(self.note("closed"))
        self.b.read_until(b"\n", lambda data: (
            self.log.append(data), self.b.read_until(b"\n", self.log.append)))
        self.a.write(b"x" * 200000 + b"\nlast\nrest")
        self.a.close()
        self.run_until(lambda: len(self.log) == 2)
        # The rest has not been read, and until it is, the stream stays open.
        self.assertEqual([b"x" * 200000 + b"\n", b"last\n"], self.log)
        self.assert_quiet()
        self.assertFalse(self.b.closed())
        self.b.read_bytes(4, self.log.append)
        self.run_until(lambda: len(self.log) == 4)
        self.assertEqual([b"rest", "closed"], self.log[2:])
        self.assertIsNone(self.b.error)
        self.assert_quiet()
        self.assertEqual(4, len(self.log))

    def test_b063_close_callback_with_a_read_that_cannot_be_satisfied(self):
        self.b.read_bytes(100, self.fail)
        self.b.set_close_callback(self.note("closed"))
        self.a.write(b"too few")
        self.a.close()
        self.expect("closed")
        self.assertRaises(StreamClosedError, self.b.read_until, b"\n", self.fail)
        self.assertRaises(StreamClosedError, self.b.write, b"x")

    def test_b064_reads_after_the_end(self):
        self.b.read_bytes(100, self.fail)
        self.b.set_close_callback(self.note("closed"))
        self.a.write(b"what came\nbefore the end")
        self.a.close()
        self.expect("closed")
        # Received data can still be read.
        self.b.read_until(b"\n", self.log.append)
        self.expect(b"what came\n")
        self.b.read_bytes(100, self.log.append, partial=True)
        self.expect(b"before the end")
        self.assertRaises(StreamClosedError, self.b.read_bytes, 1, self.fail)

    def test_b063_close_callback_set_late_replaced_or_taken_back(self):
        self.a.set_close_callback(self.fail)
        self.a.set_close_callback(None)
        self.b.set_close_callback(self.fail)
        self.b.set_close_callback(self.note("second"))
        self.b.close()
        self.assertEqual([], self.log)
        self.expect("second")
        self.b.set_close_callback(self.note("late"))
        self.expect("late")
        self.b.close()
        self.run_until(self.a.closed)
        self.assert_quiet()
        self.assertEqual([], self.log)

    def test_b063_local_close_after_a_read_was_satisfied(self):
        self.b.set_close_callback(self.note("closed"))
        self.a.write(b"data")
        self.run_until(self.b.has_unread)
        self.b.read_bytes(4, self.log.append)
        self.b.close()
        self.b.close()
        self.expect(b"data", "closed")
        self.assert_quiet()
        self.assertEqual([], self.log)

    def test_b004_idle_stream_notices_that_the_peer_closes(self):
        self.b.set_close_callback(self.note("closed"))
        self.a.close()
        self.expect("closed")

    def test_b004_emptied_stream_notices_that_the_peer_closes(self):
        self.unread()
        self.assert_quiet()
        self.b.read_bytes(6, self.log.append)
        self.expect(b"unread")
        self.a.close()
        self.expect("closed")

    def test_b065_read_until_close(self):
        self.b.set_close_callback(self.note("closed"))
        self.b.read_until_close(self.log.append)
        self.a.write(b"x" * 300000)
        self.a.write(b"", self.a.close)
        self.expect(b"x" * 300000, "closed")
        # After that, there is nothing left.
        self.b.read_until_close(self.log.append)
        self.expect(b"")

    def test_b065_read_until_close_piece_by_piece(self):
        self.unread()
        self.b.read_until_close(lambda rest: self.log.append(("end", rest)),
                                streaming_callback=self.log.append)
        self.expect(b"unread")
        self.a.write(b"more")
        self.expect(b"more")
        self.a.close()
        self.expect(("end", b""), "closed")

    def test_b065_read_until_close_after_the_end(self):
        self.unread(b"before")
        self.b.close()
        self.expect("closed")
        self.b.read_until_close(lambda rest: self.log.append(("end", rest)),
                                streaming_callback=self.log.append)
        self.expect(b"before", ("end", b""))

    def test_b065_read_until_close_over_the_limit(self):
        a, b = self.make_pair(max_buffer_size=1000)
        b.set_close_callback(self.note("closed"))
        b.read_until_close(lambda data: self.log.append((data[:2], type(b.error))))
        a.write(b"x" * 5000)
        self.expect((b"xx", StreamBufferFullError), "closed")
        self.assertIsInstance(b.error, StreamBufferFullError)
        self.assertRaises(StreamClosedError, b.read_until_close, self.fail)

    def test_b065_p05_an_error_is_an_end_that_leaves_its_error(self):
        for is_whole in (False, True):
            a, b = self.make_pair()
            # A Unix socket is only reset if something is unread.
            b.write(b"unread")
            b.set_close_callback(self.note("closed"))
            b.read_until_close(lambda data: self.log.append((data, b.error is not None)),
                               streaming_callback=None if is_whole else self.log.append)
            a.write(b"part")
            if is_whole:
                self.run_until(b.has_unread)
            else:
                self.expect(b"part")
            self.reset(a)
            self.expect((b"part" if is_whole else b"", True), "closed")

    def test_b065_error_with_on_error(self):
        self.b.set_close_callback(self.note("closed"))
        self.b.read_until_close(self.fail, streaming_callback=self.log.append,
                                on_error=lambda error: self.log.append(type(error)))
        self.a.write(b"part")
        self.expect(b"part")
        self.reset(self.a)
        self.expect(StreamClosedError, "closed")
        self.assertIsInstance(self.b.error, EnvironmentError)

    def test_b061_write_to_a_peer_that_has_gone(self):
        self.b.set_close_callback(self.note("closed"))
        self.reset(self.a)

        def write():
            if not self.b.closed():
                self.b.write(b"x" * 1000000)
            return self.log
        self.run_until(write)
        self.assertEqual(["closed"], self.log)
        self.assertIsInstance(self.b.error, EnvironmentError)

    def test_b076_close_drops_what_was_not_sent(self):
        self.a.write(b"x" * 20000000, self.fail)
        self.a.set_close_callback(self.note("closed"))
        self.a.close()
        self.assertFalse(self.a.writing())
        self.expect("closed")

    def test_b073_half_close(self):
        """The response arrives although the client has shut down its sending side."""
        response = []
        self.a.read_until_close(response.append)
        self.a.write(b"one\ntwo\n")
        self.a.shutdown_write()
        self.b.read_until(b"\n", self.log.append)
        self.expect(b"one\n")
        self.assert_quiet()
        self.assertFalse(self.b.closed())

        def respond(left):
            if left:
                self.b.write(b"x" * 1000, functools.partial(respond, left - 1))
        self.b.set_close_callback(self.note("closed"))
        self.b.read_until(b"\n", lambda data: respond(20))
        self.run_until(lambda: response)
        self.assertEqual([b"x" * 20000], response)
        self.expect("closed")
        self.assertIsNone(self.b.error)

    def test_b073_half_close_sends_what_is_queued_first(self):
        self.narrow()
        size = 1000000
        self.b.write(b"x" * size, self.note("written"))
        self.b.set_close_callback(self.note("closed"))
        self.assertTrue(self.b.writing())
        self.a.shutdown_write()
        self.assert_quiet()
        self.assertFalse(self.b.closed())
        self.a.read_until_close(lambda data: self.log.append(len(data)))
        self.expect("written", "closed", size)

    def test_b073_read_that_wants_to_write_keeps_the_stream(self):
        read = Collector(self.log)
        read.wants_to_write = True
        self.b.start_read(read)
        self.a.write(b"request")
        self.a.shutdown_write()
        self.expect(b"request")
        self.assert_quiet()
        self.assertFalse(self.b.closed())
        self.a.read_bytes(8, self.log.append)
        self.b.write(b"response")
        self.expect(b"response")
        read.wants_to_write = False
        self.b.resume_read()
        self.expect("end")
        self.assertTrue(self.b.closed())

    def test_shutdown_write_waits_for_what_is_queued(self):
        size = 5000000
        self.a.write(b"x" * size)
        self.a.shutdown_write()
        self.b.read_until_close(lambda data: self.log.append(len(data)))
        self.expect(size)
        self.a.close()
        self.a.shutdown_write()

    def test_b070_bytes_that_no_read_asks_for_are_bounded(self):
        self.unread(b"x" * 20000000)
        self.assert_quiet(500)
        self.assertTrue(self.a.writing())
        self.assertLessEqual(len(self.b._buffer), 2 * 65536 + 16384)
        self.b.read_bytes(20000000, lambda data: self.log.append(len(data)))
        self.expect(20000000)

    # Situations that must not spin the loop

    def test_b074_idle(self):
        self.a.set_close_callback(self.fail)
        self.b.set_close_callback(self.fail)
        self.assert_quiet()
        for stream in (self.a, self.b):
            stream.set_close_callback(None)

    def test_b074_closed_with_bytes_unread(self):
        self.unread(b"x" * 200000)
        self.a.close()
        self.assert_quiet()
        self.b.read_bytes(200000, lambda data: self.log.append(len(data)))
        self.expect(200000, "closed")
        self.assertIsNone(self.b.error)
        self.assert_quiet()

    def test_b074_closed_on_both_sides_with_bytes_unread(self):
        self.b.set_close_callback(self.note("closed"))
        self.a.write(b"x" * 200000)
        self.run_until(self.b.has_unread)
        self.b.shutdown_write()
        self.a.close()
        self.assert_quiet()
        self.assertEqual([], self.log)
        self.b.read_bytes(200000, lambda data: self.log.append(len(data)))
        self.expect(200000, "closed")
        self.assert_quiet()

    def test_b074_reset_with_bytes_unread(self):
        self.unread(b"x" * 200000)
        self.reset(self.a)
        self.assert_quiet()
        if self.impl in ("epoll", "poll") and self.kind != "unix":
            self.expect("closed")
            self.assertIsInstance(self.b.error, EnvironmentError)

    def test_b074_peer_goes_while_a_read_is_paused(self):
        read = Collector(self.log)
        read.paused = True
        self.b.start_read(read)
        self.a.write(b"x" * 200000)
        self.run_until(self.b.has_unread)
        self.reset(self.a)
        self.assert_quiet()
        if self.impl in ("epoll", "poll"):
            self.expect("end")

    def test_b255_a_peer_that_leaves_a_paused_read(self):
        """It cannot be read that it has left, because other data comes first."""
        for abandoned in (True, False):
            a, b = self.make_pair()
            # TLS has sent tickets, which arrive before this.
            b.write(b"hello")
            a.read_bytes(5, self.log.append)
            self.expect(b"hello")
            read = Collector(self.log)
            read.paused, read.is_abandoned = True, abandoned
            b.start_read(read)
            a.write(b"x" * 50000)
            self.run_until(b.has_unread)
            self.assert_quiet()
            a.shutdown_write()
            if abandoned and self.impl != "select":
                self.expect("end")
                self.assertIsNone(b.error)
                continue
            # It stays, without keeping the loop busy, and everything can be read.
            self.run_until(lambda: not a.writing())
            self.assert_quiet()
            self.assertFalse(b.closed())
            b.write(b"answer")
            self.assert_quiet()
            read.paused = False
            b.resume_read()
            # Under -bb, bytes cannot be compared with text.
            self.run_until(lambda: self.log and isinstance(self.log[-1], str)
                           and self.log[-1] == "end")
            self.assertEqual(50000, len(b"".join(self.log[:-1])))
            del self.log[:]

    def test_b255_a_read_that_loses_interest_in_a_peer_that_has_left(self):
        read = Collector(self.log)
        read.paused = True
        self.b.start_read(read)
        self.a.write(b"unread")
        self.run_until(self.b.has_unread)
        self.a.shutdown_write()
        self.assert_quiet()
        read.is_abandoned = True
        self.b.resume_read()
        if self.impl != "select":
            self.expect("end")

    def test_b255_unread_bytes_are_kept_for_the_next_read(self):
        self.unread(b"x" * 1000)
        self.a.shutdown_write()
        self.assert_quiet()
        self.assertFalse(self.b.closed())
        self.b.read_bytes(1000, lambda data: self.log.append(len(data)))
        self.expect(1000, "closed")

    def test_b074_half_open(self):
        self.narrow()
        self.b.set_close_callback(self.note("closed"))
        self.b.write(b"x" * 1000000)
        self.a.shutdown_write()
        self.assert_quiet()
        self.assertTrue(self.b.writing())
        self.reset(self.a)
        self.expect("closed")
        self.assert_quiet()

    # Callbacks

    def test_b062_callbacks_that_raise(self):
        def fail(*args):
            raise ZeroDivisionError("on purpose")

        def read_until_close(stream):
            stream.read_until_close(streaming_callback=fail)
        gc.disable()
        self.addCleanup(gc.enable)
        references = []
        for start in (lambda b: b.read_bytes(1, fail), lambda b: b.write(b"x", fail),
                      lambda b: b.read_bytes(4, self.fail, streaming_callback=fail),
                      read_until_close):
            a, b = self.make_pair()
            with LogCatcher("friendserve.application") as records:
                b.set_close_callback(self.note("closed"))
                start(b)
                a.write(b"x")
                self.expect("closed")
            self.assertEqual(1, len(records))
            self.assertIs(ZeroDivisionError, records[0].exc_info[0])
            self.assertTrue(b.closed())
            self.assertIsInstance(b.error, ZeroDivisionError)
            del records[:]
            self.kept.remove(b)
            references.append(weakref.ref(b))
            a.close()
        del b
        self.assertEqual([True] * 4, [is_gone(reference) for reference in references])

    def test_b062_close_callback_that_raises(self):
        self.b.set_close_callback(lambda: {}["missing"])
        with LogCatcher("friendserve.application") as records:
            self.a.close()
            self.run_until(lambda: records)
            self.assert_quiet()
        self.assertEqual(1, len(records))

    def test_closed_stream_is_no_garbage(self):
        gc.disable()
        self.addCleanup(gc.enable)
        references = []
        for error in (False, True):
            a, b = self.make_pair()
            b.read_until(b"\n", self.fail)
            b.set_close_callback(self.note("closed"))
            self.reset(a) if error and self.kind != "unix" else a.close()
            self.expect("closed")
            self.kept.remove(b)
            references.append(weakref.ref(b))
        del b
        self.assertEqual([True] * 2, [is_gone(reference) for reference in references])

    def test_b158_contexts_belong_to_callbacks(self):
        seen = []

        def handler(kind, value, traceback):
            self.log.append(str(value))
            return True

        def fail(data):
            raise ValueError("mine")
        with StackContext(functools.partial(keeping, seen)):
            self.b.read_bytes(1, lambda data: self.log.append(stack_depth()))
            self.b.set_close_callback(lambda: self.log.append(stack_depth()))
        with ExceptionStackContext(handler):
            self.a.write(b"1", lambda: self.log.append(stack_depth()))
        self.run_until(lambda: len(self.log) == 2)
        self.assertEqual([1, 1], self.log)
        del self.log[:]
        with ExceptionStackContext(handler):
            self.b.read_bytes(1, fail)
        self.a.write(b"2")
        self.expect("mine")
        # If the exception was handled, the stream stays open.
        self.assertFalse(self.b.closed())
        # Data delivered inside a context does not run in it.
        with StackContext(functools.partial(keeping, seen)):
            self.a.write(b"3")
            self.b.start_read(_ContextRead(self.log))
            self.run_until(self.b.has_unread)
            self.b.resume_read()
        self.run_until(lambda: self.log)
        self.assertEqual([0], self.log)


class _ContextRead(Read):
    """Delivers only at the fourth call of `find`."""
    def __init__(self, log):
        super(_ContextRead, self).__init__(None)
        self.log = log
        self.asked = 0

    def find(self, buffer):
        self.asked += 1
        return len(buffer) if len(buffer) and self.asked > 3 else PAUSE if len(buffer) else None

    def deliver(self, schedule, data):
        schedule(lambda: self.log.append(stack_depth()))


make_tests(EndContract, "End", globals())
