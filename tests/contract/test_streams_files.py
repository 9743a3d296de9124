"""The contract of streams, continued: sending files."""
from __future__ import absolute_import, division, print_function

import functools
import os
import tempfile

from friendserve.iostream import StreamClosedError
from friendserve.stack_context import StackContext, state
from tests.loopcase import keeping
from tests.streamcase import StreamCase, make_tests

CONTENT = bytes(bytearray(range(256))) * 4096 * 3      # 3 MB


class FileContract(StreamCase):
    def setUp(self):
        super(FileContract, self).setUp()
        descriptor, self.path = tempfile.mkstemp()
        self.addCleanup(os.remove, self.path)
        with os.fdopen(descriptor, "wb") as target:
            target.write(CONTENT)

    def open(self):
        source = open(self.path, "rb", 0)
        self.addCleanup(source.close)
        return source

    def test_a_file_between_bytes(self):
        source = self.open()
        self.a.write_file(source, 0, len(CONTENT), self.note("sent"), b"<")
        self.assertEqual([], self.log)
        self.a.write(b">", self.note("all sent"))
        self.b.read_bytes(len(CONTENT) + 2, lambda data: self.log.append(data[1:-1] == CONTENT))
        self.run_until(lambda: len(self.log) == 3)
        self.assertEqual({"sent", "all sent", True}, set(self.log))
        self.assertLess(self.log.index("sent"), self.log.index("all sent"))
        self.assertTrue(source.closed)
        self.assertFalse(self.a.writing())

    def test_a_part_of_a_file(self):
        self.a.write_file(self.open(), 1000, 70000)
        self.b.read_bytes(70000, lambda data: self.log.append(data == CONTENT[1000:71000]))
        self.expect(True)

    def test_two_files(self):
        first, second = self.open(), self.open()
        self.a.write_file(first, 0, 300000)
        self.a.write_file(second, 5, 300000, self.note("sent"), b"between")
        self.b.read_bytes(600007, lambda data: self.log.append(
            data == CONTENT[:300000] + b"between" + CONTENT[5:300005]))
        self.run_until(lambda: len(self.log) == 2)
        self.assertEqual({"sent", True}, set(self.log))
        self.assertTrue(first.closed and second.closed)

    def test_waits_for_who_does_not_read(self):
        self.narrow()
        source = self.open()
        self.b.write_file(source, 0, len(CONTENT), self.note("sent"))
        for _ in range(20):
            self.loop.run_once(0)
        self.assertEqual([], self.log)
        self.assertFalse(source.closed)
        self.assertGreater(self.b.unsent(), len(CONTENT) // 8)
        before = self.b.write_progress()
        self.a.read_bytes(len(CONTENT) - 1000, lambda data: self.log.append("read"))
        self.run_until(lambda: "read" in self.log)
        self.assertNotEqual(before, self.b.write_progress())
        self.a.read_bytes(1000, lambda data: self.log.append(data == CONTENT[-1000:]))
        self.run_until(lambda: len(self.log) == 3)
        self.assertEqual({"read", "sent", True}, set(self.log))

    def test_bytes_of_files_are_not_held_in_memory(self):
        a, b = self.make_pair(max_write_buffer_size=1000)
        a.write_file(self.open(), 0, len(CONTENT))
        a.write(b"x" * 1000)
        b.read_bytes(len(CONTENT) + 1000, lambda data: self.log.append(data[-1001:-999]))
        self.expect(CONTENT[-1:] + b"x")

    def test_a_file_that_became_shorter_closes_the_stream(self):
        self.narrow()
        source = self.open()
        self.b.set_close_callback(self.note("closed"))
        self.b.write_file(source, len(CONTENT) - 1000, 2000, self.note("sent"))
        self.a.read_until_close(lambda data: self.log.append(len(data)))
        self.a.set_close_callback(self.note("end"))
        self.run_until(lambda: "end" in self.log and "closed" in self.log)
        self.assertEqual({"closed", "end", 1000}, set(self.log))
        # Only TLS can tell the peer.
        self.assertEqual(self.kind == "tls", self.a.error is not None)
        self.assertIn("became shorter", str(self.b.error))
        self.assertTrue(source.closed)

    def test_the_file_is_closed_with_the_stream(self):
        self.narrow()
        first, second, third = self.open(), self.open(), self.open()
        self.b.write_file(first, 0, len(CONTENT), self.note("never"))
        self.b.write_file(second, 0, len(CONTENT), self.note("never"))
        self.loop.run_once(0)
        self.b.close()
        self.assertTrue(first.closed and second.closed)
        self.assertRaises(StreamClosedError, self.b.write_file, third, 0, 10)
        self.assertTrue(third.closed)
        self.loop.run_once(0)
        self.assertEqual([], self.log)

    def test_b265_the_context_of_the_callback_is_entered_once(self):
        entered = []
        with StackContext(functools.partial(keeping, entered)):
            self.a.write_file(self.open(), 0, 1000, lambda: self.log.append(len(state.contexts)))
            self.assertEqual(["in"], entered)
        self.run_until(lambda: self.log)
        self.assertEqual((["in", "out"] * 2, [1]), (entered, self.log))

    def test_the_loop_is_quiet_afterwards(self):
        self.a.write_file(self.open(), 0, len(CONTENT), self.note("sent"))
        self.b.read_bytes(len(CONTENT), lambda data: self.log.append("read"))
        self.run_until(lambda: len(self.log) == 2)
        self.assert_quiet()


make_tests(FileContract, "File", globals())
