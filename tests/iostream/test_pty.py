"""B264: streams over pseudo-terminals, whose end Linux reports as EIO."""
from __future__ import absolute_import, division, print_function

import errno
import os
import pty
import tty
import unittest

from friendserve.iostream import PipeIOStream
from friendserve.iostream import pipe as pipe_module
from friendserve.platform.pollers.auto import available_pollers
from tests.streamcase import Collector, SocketCase


class PtyContract(object):
    def setUp(self):
        super(PtyContract, self).setUp()
        master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        self.stream, = self.keep(PipeIOStream(master, self.loop))
        self.stream.set_close_callback(self.noting("closed"))

    def say_and_go(self, words):
        os.write(self.slave, words)
        os.close(self.slave)

    def test_b264_the_end_is_an_end(self):
        self.stream.read_until_close(self.note)
        self.say_and_go(b"last words")
        self.expect(b"last words", "closed")
        self.assertIsNone(self.stream.error)

    def test_b264_words_before_the_read(self):
        self.say_and_go(b"last\nwords")
        self.run_until(self.stream.has_unread)
        self.assert_quiet()
        self.stream.read_until(b"\n", self.note)
        self.expect(b"last\n")
        self.stream.read_until_close(self.note)
        self.expect(b"words", "closed")
        self.assertIsNone(self.stream.error)

    def test_b264_a_write_that_fails_leaves_them(self):
        self.stream.read_until_close(self.note)
        self.say_and_go(b"last words")
        self.stream.write(b"x")
        self.run_until(lambda: len(self.log) == 2)
        self.assertEqual([b"last words", "closed"], self.log)

    def test_b264_a_read_in_pieces(self):
        read = Collector(self.log)
        self.stream.start_read(read)
        self.say_and_go(b"last words")
        self.expect(b"last words", "end", "closed")


for _impl in sorted(set(available_pollers() + ["kqueue"])):
    _name = str("%sPtyTest" % _impl.title())
    globals()[_name] = type(_name, (PtyContract, SocketCase), {"impl": _impl})


class OtherFilesTest(SocketCase):
    def test_b264_elsewhere_it_is_an_error(self):
        reader, writer = os.pipe()
        self.addCleanup(os.close, writer)
        stream, = self.keep(PipeIOStream(reader, self.loop))
        stream.set_close_callback(self.noting("closed"))
        stream.read_until_close(lambda data: self.log.append((data, stream.error.errno)))

        def read(fd, size):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real_os = pipe_module.os
        pipe_module.os = type("BrokenOs", (object,), {
            "read": staticmethod(read), "isatty": staticmethod(os.isatty),
            "close": staticmethod(os.close)})
        try:
            os.write(writer, b"x")
            self.expect((b"", errno.EIO), "closed")
        finally:
            pipe_module.os = real_os
        self.assertEqual(errno.EIO, stream.error.errno)


if __name__ == "__main__":
    unittest.main()
