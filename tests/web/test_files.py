"""FileCache: values made from files."""
from __future__ import absolute_import, division, print_function

import errno
import os
import shutil
import tempfile
import unittest

from friendserve.web import files


class FileCacheTest(unittest.TestCase):
    def setUp(self):
        descriptor, self.path = tempfile.mkstemp()
        os.close(descriptor)
        self.addCleanup(os.remove, self.path)
        os.utime(self.path, (1000000000, 1000000000))
        self.watched = [(self.path, files.file_key(self.path))]

    def test_bounded(self):
        cache = files.FileCache(1000000)
        for number in range(100):
            cache.put(number, "value %d" % number, self.watched, 100000)
            cache.get(0)
        kept = [number for number in range(100) if cache.get(number)]
        self.assertLessEqual(len(kept), 10)
        self.assertEqual("value 99", cache.get(99))
        self.assertEqual("value 0", cache.get(0), "it was asked for all the time")

    def test_many_small_ones(self):
        cache = files.FileCache(1000000)
        for number in range(10000):
            cache.put(number, number, self.watched)
        kept = [number for number in range(10000) if cache.get(number) is not None]
        self.assertIn(9999, kept)
        self.assertLessEqual(len(kept), 500)

    def test_looked_at_once_in_a_turn(self):
        cache = files.FileCache(1000000)
        cache.put("a", "value", self.watched)
        turn = object()
        self.assertEqual("value", cache.get("a", turn))
        os.utime(self.path, (1000000001, 1000000001))
        self.assertEqual("value", cache.get("a", turn))
        self.assertIsNone(cache.get("a", object()))

    def test_looked_at_each_time_without_a_turn(self):
        cache = files.FileCache(1000000)
        cache.put("a", "value", self.watched)
        self.assertEqual("value", cache.get("a"))
        os.utime(self.path, (1000000001, 1000000001))
        self.assertIsNone(cache.get("a"))

    def test_what_changed_while_it_was_read_is_not_kept(self):
        cache = files.FileCache(1000000)
        with open(self.path, "wb") as target:
            target.write(b"new")
        os.utime(self.path, (1000000000, 1000000000))
        cache.put("a", "value", self.watched)
        self.assertIsNone(cache.get("a"))
        cache.put("b", "value", [(self.path + ".missing", None)])
        self.assertIsNone(cache.get("b"))


class OpenFileTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = os.path.join(self.folder, "file")

    def test_a693_only_a_regular_file_is_opened(self):
        os.mkfifo(self.path)
        # The null device would end at once, a pipe stall the loop, /dev/zero never end.
        for path in (self.path, self.folder, os.devnull, "/dev/zero"):
            before = os.listdir("/dev/fd")
            for checked in (None, os.stat(path)):
                with self.assertRaises(IOError) as caught:
                    files.open_file(path, checked).close()
                self.assertEqual(errno.EACCES, caught.exception.errno, path)
                self.assertEqual(path, caught.exception.filename)
            self.assertEqual(len(before), len(os.listdir("/dev/fd")))

    def test_a690_only_the_file_that_was_checked_is_opened(self):
        for name in ("file", "other"):
            with open(os.path.join(self.folder, name), "wb") as target:
                target.write(b"content")
        files.open_file(self.path, os.stat(self.path)).close()
        before = os.listdir("/dev/fd")
        with self.assertRaises(IOError) as caught:
            files.open_file(self.path, os.stat(os.path.join(self.folder, "other"))).close()
        self.assertEqual(errno.EACCES, caught.exception.errno)
        self.assertEqual(len(before), len(os.listdir("/dev/fd")))
