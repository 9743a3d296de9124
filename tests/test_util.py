"""Configurable, imports by name, dates, arguments, and gzip in pieces."""
from __future__ import absolute_import, division, print_function

import datetime
import errno
import gzip
import io
import os.path
import pickle
import pydoc
import re
import socket
import time
import unittest
import zlib

from friendserve import ioloop, util
from friendserve.util import (
    ArgReplacer, Configurable, GzipDecompressor, ObjectDict, TimeoutError, errno_from_exception,
    format_timestamp, import_object, re_unescape, set_public_module)
from tests.loopcase import of_cpython

try:
    from hypothesis import given, settings, strategies as st
except ImportError:  # version: py2
    given = None


class Store(Configurable):
    @classmethod
    def configurable_base(cls):
        return Store

    @classmethod
    def configurable_default(cls):
        return Memory


class Memory(Store):
    def initialize(self, size=1, name=None):
        self.size = size
        self.name = name


class Disk(Memory):
    pass


class Table(Store):
    """An implementation that is an interface itself."""

    @classmethod
    def configurable_base(cls):
        return Table

    @classmethod
    def configurable_default(cls):
        return SmallTable


class SmallTable(Table):
    def initialize(self, size=1):
        self.size = size


class ConfigurableTest(unittest.TestCase):
    def tearDown(self):
        Store.configure(None)
        Table.configure(None)

    def test_default(self):
        self.assertIs(Memory, Store.configured_class())
        self.assertIs(Memory, type(Store()))
        self.assertEqual((5, "x"), (Store(5, name="x").size, Store(5, name="x").name))

    def test_configured(self):
        Store.configure(Disk)
        self.assertIs(Disk, Store.configured_class())
        self.assertIs(Disk, type(Store()))
        self.assertIs(Memory, type(Memory()))
        self.assertIs(Disk, Disk.configured_class())
        Store.configure(None)
        self.assertIs(Memory, type(Store()))

    def test_configured_by_name(self):
        name = __name__ + ".Disk"
        for one in (name, name.encode("ascii"), u"" + name):
            Store.configure(one)
            self.assertIs(Disk, Store.configured_class())
        self.assertRaises(ImportError, Store.configure, __name__ + ".Absent")
        self.assertIs(Disk, Store.configured_class())

    def test_arguments_are_merged(self):
        Store.configure(Disk, size=7)
        self.assertEqual((7, None), (Store().size, Store().name))
        self.assertEqual((7, "x"), (Store(name="x").size, Store(name="x").name))
        self.assertEqual(8, Store(size=8).size)
        # An implementation called by its name is not replaced.
        self.assertEqual(1, Memory().size)
        self.assertEqual(1, Disk().size)
        Store.configure(None, size=9)
        self.assertEqual(9, Store().size)
        self.assertIs(Memory, type(Store()))

    def test_other_classes_are_refused(self):
        for other in (dict, Configurable, 5, Disk(), "os.path.join"):
            self.assertRaises(ValueError, Store.configure, other)
        self.assertIs(Memory, Store.configured_class())

    def test_interface_as_implementation(self):
        Store.configure(Table, size=3)
        self.assertIs(SmallTable, type(Store()))
        self.assertEqual(3, Store().size)
        self.assertIs(SmallTable, Table.configured_class())
        self.assertEqual(1, Table().size)

    def test_base_must_be_told(self):
        class Nothing(Configurable):
            pass

        self.assertRaises(NotImplementedError, Nothing)
        self.assertRaises(NotImplementedError, Nothing.configurable_default)


class ImportObjectTest(unittest.TestCase):
    def test_found(self):
        self.assertIs(os.path, import_object("os.path"))
        self.assertIs(os.path.join, import_object("os.path.join"))
        self.assertIs(util, import_object("friendserve.util"))
        self.assertIs(Store, import_object(Store.__module__ + ".Store"))
        self.assertEqual("friendserve", import_object("friendserve").__name__)
        self.assertIs(import_object, import_object(u"friendserve.util.import_object"))
        self.assertIs(import_object, import_object(b"friendserve.util.import_object"))

    def test_module_that_was_not_imported(self):
        self.assertEqual("wsgiref.headers", import_object("wsgiref.headers").__name__)

    def test_absent(self):
        for name in ("absent_module", "friendserve.absent", "os.path.absent", "absent.thing",
                     "", ".", ".os", "os.", "os..path"):
            self.assertRaises(ImportError, import_object, name)

    def test_no_name(self):
        for name in (None, 5, os, bytearray(b"os")):
            self.assertRaises(TypeError, import_object, name)


class SmallThingsTest(unittest.TestCase):
    def test_object_dict(self):
        d = ObjectDict(a=1)
        d.b = 2
        d["c"] = 3
        self.assertEqual((1, 2, 3), (d["a"], d["b"], d.c))
        self.assertEqual({"a": 1, "b": 2, "c": 3}, d)
        self.assertRaises(AttributeError, getattr, d, "d")
        self.assertFalse(hasattr(d, "__deepcopy__"))

    def test_errno_from_exception(self):
        self.assertEqual(errno.EIO, errno_from_exception(OSError(errno.EIO, "text")))
        self.assertEqual(errno.EIO, errno_from_exception(socket.error(errno.EIO, "text")))
        self.assertEqual(5, errno_from_exception(Exception(5)))
        for error in (Exception(), Exception("text"), socket.timeout("timed out"), OSError()):
            self.assertIsNone(errno_from_exception(error))

    def test_timeout_error_is_an_exception_of_its_own(self):
        self.assertTrue(issubclass(TimeoutError, Exception))
        self.assertFalse(issubclass(TimeoutError, OSError))

    def test_re_unescape(self):
        for text in ("", "abc_1", "/a.b*c?d+", "\\", "\\\\d", "a\nb", "\x00", "\x00001", "-"):
            self.assertEqual(text, re_unescape(re.escape(text)))
        for text in (u"\u00e9", u"\u0663 \u4e2d", u"\u00e9".encode("utf-8").decode("latin-1")):
            self.assertEqual(text, re_unescape(re.escape(text)))
        for pattern in (r"\d", r"a\b", "\\", r"\\\w", "a\\"):
            self.assertRaises(ValueError, re_unescape, pattern)

    def test_format_timestamp(self):
        text = "Sun, 27 Jan 2013 18:43:20 GMT"
        moment = datetime.datetime(2013, 1, 27, 18, 43, 20, 999999)
        for ts in (1359312200, 1359312200.9, moment, moment.timetuple(),
                   tuple(moment.timetuple()), time.gmtime(1359312200), East().of(moment)):
            self.assertEqual(text, format_timestamp(ts))
        self.assertEqual("Thu, 01 Jan 1970 00:00:00 GMT", format_timestamp(0))
        for ts in (None, text, True, {}):
            self.assertRaises(TypeError, format_timestamp, ts)


class East(datetime.tzinfo):
    """A time zone two hours ahead."""

    def of(self, utc):
        return (utc + self.utcoffset(utc)).replace(tzinfo=self)

    def utcoffset(self, moment):
        return datetime.timedelta(hours=2)

    def dst(self, moment):
        return datetime.timedelta(0)


def function(a, callback=None, **kwargs):
    inner = a
    return inner


class ArgReplacerTest(unittest.TestCase):
    def test_by_position(self):
        replacer = ArgReplacer(function, "callback")
        self.assertEqual(1, replacer.arg_pos)
        args, kwargs = (1, 2), {"x": 3}
        self.assertEqual(2, replacer.get_old_value(args, kwargs))
        self.assertEqual((2, [1, 9], {"x": 3}), replacer.replace(9, args, kwargs))
        self.assertEqual(((1, 2), {"x": 3}), (args, kwargs))

    def test_by_name(self):
        replacer = ArgReplacer(function, "callback")
        kwargs = {"callback": 2}
        self.assertEqual(2, replacer.get_old_value((1,), kwargs))
        self.assertEqual((2, (1,), {"callback": 9}), replacer.replace(9, (1,), kwargs))
        self.assertEqual({"callback": 2}, kwargs)

    def test_absent(self):
        replacer = ArgReplacer(function, "callback")
        self.assertEqual("d", replacer.get_old_value((1,), {}, "d"))
        self.assertEqual((None, (1,), {"callback": 9}), replacer.replace(9, (1,), {}))

    def test_only_in_kwargs(self):
        for name in ("inner", "kwargs", "other"):
            replacer = ArgReplacer(function, name)
            self.assertIsNone(replacer.arg_pos)
            self.assertEqual((None, (1, 2), {name: 9}), replacer.replace(9, (1, 2), {}))

    def test_bound_method(self):
        replacer = ArgReplacer(self.method, "callback")
        self.assertEqual((2, [1, 9], {}), replacer.replace(9, (1, 2), {}))

    def method(self, a, callback):
        pass

    @of_cpython
    def test_builtin_is_refused(self):
        self.assertRaises(TypeError, ArgReplacer, len, "obj")


def compress(data):
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as archive:
        archive.write(data)
    return out.getvalue()


def decompress(data, step, max_length=None):
    """The output of a GzipDecompressor for `data`, given `step` bytes at a time."""
    decompressor = GzipDecompressor()
    pieces = []
    for start in range(0, len(data), step):
        rest = data[start:start + step]
        while rest:
            piece = decompressor.decompress(rest, max_length)
            if max_length is not None and len(piece) > max_length:
                raise AssertionError("%d bytes, wanted %d" % (len(piece), max_length))
            pieces.append(piece)
            rest = decompressor.unconsumed_tail
    pieces.append(decompressor.flush())
    return b"".join(pieces)


class GzipDecompressorTest(unittest.TestCase):
    def test_in_pieces(self):
        plain = b"".join(str(number).encode("ascii") for number in range(20000))
        data = compress(plain)
        for step in (1, 1000, len(data)):
            for max_length in (None, 1, 1000) if step != 1 else (None, 1000):
                self.assertEqual(plain, decompress(data, step, max_length))

    def test_a209_bomb_is_opened_no_further_than_asked(self):
        data = compress(b"\0" * 10000000)
        decompressor = GzipDecompressor()
        self.assertEqual(b"\0" * 100, decompressor.decompress(data, 100))
        self.assertTrue(decompressor.unconsumed_tail)
        # Nor does the end change that.
        self.assertRaises(zlib.error, decompressor.flush)
        self.assertRaises(ValueError, decompressor.decompress, data, 0)

    def test_a209_members_in_a_row(self):
        data = compress(b"a" * 100000) + compress(b"") + compress(b"hello") + compress(b"z" * 70000)
        plain = b"a" * 100000 + b"hello" + b"z" * 70000
        for step in (1, 7, len(data)):
            for max_length in (None, 1000):
                self.assertEqual(plain, decompress(data, step, max_length))

    def test_a209_number_of_members_is_bounded(self):
        most = GzipDecompressor.MAX_MEMBERS
        self.assertEqual(b"", decompress(compress(b"") * most, 65536))
        self.assertRaises(zlib.error, decompress, compress(b"") * (most + 1), 65536)

    def test_truncated(self):
        data = compress(b"hello" * 100)
        for length in range(1, len(data)):
            self.assertRaises(zlib.error, decompress, data[:length], 1000)
        self.assertRaises(zlib.error, decompress, data + data[:5], 1000)

    def test_eof_tells_whether_the_data_may_be_complete(self):
        one, other = compress(b"hello" * 100), compress(b"a" * 5000)
        decompressor = GzipDecompressor()
        self.assertFalse(decompressor.eof)
        told = []
        for start in range(len(one + other)):
            decompressor.decompress((one + other)[start:start + 1])
            # Reading `eof` changes nothing.
            told.append((decompressor.eof, decompressor.eof)[1])
        complete = [at + 1 for at, eof in enumerate(told) if eof]
        self.assertEqual([len(one), len(one + other)], complete)
        self.assertEqual((b"", b""), (decompressor.flush(), decompressor.flush()))
        self.assertTrue(decompressor.eof)

    def test_eof_only_when_nothing_is_left(self):
        data = compress(b"a" * 1000)
        decompressor = GzipDecompressor()
        for value in (data + compress(b"b"), data):
            decompressor.decompress(value, 500)
            self.assertTrue(decompressor.unconsumed_tail)
            self.assertFalse(decompressor.eof)
            while decompressor.unconsumed_tail:
                decompressor.decompress(decompressor.unconsumed_tail, 500)
            self.assertTrue(decompressor.eof)

    def test_damaged(self):
        data = compress(b"hello" * 100)
        for wrong in (b"plain text", data[:-5] + b"\xff" + data[-4:], data + b"x", data + b"\0"):
            self.assertRaises(zlib.error, decompress, wrong, 1000)

    def test_nothing(self):
        self.assertEqual(b"", GzipDecompressor().flush())
        self.assertEqual(b"", GzipDecompressor().decompress(b""))


if given is not None:
    class PropertyTest(unittest.TestCase):
        @settings(max_examples=100, deadline=None)
        @given(st.lists(st.binary(max_size=2000), min_size=1, max_size=3), st.integers(1, 500),
               st.none() | st.integers(1, 500))
        def test_gzip_round_trip(self, members, step, max_length):
            data = b"".join(compress(member) for member in members)
            self.assertEqual(b"".join(members), decompress(data, step, max_length))

        @settings(max_examples=200, deadline=None)
        @given(st.text())
        def test_re_unescape_round_trip(self, text):
            self.assertEqual(text, re_unescape(re.escape(text)))


class PublicModuleTest(unittest.TestCase):
    def make(self, module):
        """A class and a function that are defined in `module`."""
        def function():
            pass

        function.__module__ = module
        return type("Class", (object,), {"__module__": module}), function

    def test_public_classes_and_functions_belong_to_the_package(self):
        cls, function = self.make("shop.orders")
        set_public_module({"__name__": "shop", "__all__": ["Order", "order"],
                           "Order": cls, "order": function})
        self.assertEqual("shop", cls.__module__)
        self.assertEqual("shop", function.__module__)

    def test_what_is_from_elsewhere_or_not_public_stays(self):
        outside, function = self.make("shopping.carts")
        private, _ = self.make("shop.orders")
        set_public_module({"__name__": "shop", "__all__": ["Cart", "cart"],
                           "Cart": outside, "cart": function, "Order": private})
        self.assertEqual("shopping.carts", outside.__module__)
        self.assertEqual("shopping.carts", function.__module__)
        self.assertEqual("shop.orders", private.__module__)

    def test_values_are_left_alone(self):
        cls, _ = self.make("shop.orders")
        value = cls()
        set_public_module({"__name__": "shop", "__all__": ["LIMIT", "value"],
                           "LIMIT": 100, "value": value})
        self.assertEqual({}, vars(value))
        self.assertEqual("shop.orders", cls.__module__)

    def test_the_loop_shows_and_pickles_its_public_path(self):
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            pickled = pickle.dumps(ioloop.PollIOLoop, protocol)
            self.assertNotIn(b"polling", pickled)
            self.assertIs(ioloop.PollIOLoop, pickle.loads(pickled))
        self.assertEqual("friendserve.ioloop.IOLoop", "%s.%s" % (
            ioloop.IOLoop.__module__, ioloop.IOLoop.__name__))
        self.assertEqual("friendserve.util", ioloop.TimeoutError.__module__)

    def test_help_works(self):
        text = pydoc.plain(pydoc.render_doc(ioloop))
        self.assertIn("class PeriodicCallback", text)
        text = pydoc.plain(pydoc.render_doc(ioloop.IOLoop))
        self.assertIn("class IOLoop in module friendserve.ioloop\n", text)
        self.assertIn("call_later(self, delay", text)


if __name__ == "__main__":
    unittest.main()
