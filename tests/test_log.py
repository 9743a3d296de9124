# -*- coding: utf-8 -*-
"""How log lines look, that no record can break one, and where they are written."""
from __future__ import absolute_import, division, print_function

import glob
import io
import json
import logging
import logging.handlers
import os
import shutil
import sys
import tempfile
import unittest

import six

from friendserve import log
from friendserve.log import (
    JSONFormatter, LogFormatter, access_log, app_log, define_logging_options,
    enable_pretty_logging, escape_controls, gen_log)
from friendserve.options import OptionParser
from friendserve.platform.pollers import common
from friendserve.util import ObjectDict


def make_record(message, *args, **kwargs):
    """A record as `logging` makes it; `level` and `exc_info` may be given."""
    return logging.LogRecord("name", kwargs.get("level", logging.INFO), "/path/module.py", 12,
                             message, args, kwargs.get("exc_info"))


class Undescribable(object):
    def __str__(self):
        raise ValueError("no text")

    __repr__ = __str__


class Terminal(object):
    """A stream that is, or is not, a terminal."""

    def __init__(self, isatty=True):
        self.isatty = lambda: isatty


class TerminalTestCase(unittest.TestCase):
    """A known environment and standard error stream for each test."""

    def setUp(self):
        self.old = sys.stderr, dict((name, os.environ.get(name)) for name in ("TERM", "NO_COLOR"))
        self.set_terminal(Terminal(False), None)

    def tearDown(self):
        sys.stderr, variables = self.old
        for name, value in variables.items():
            self.set_variable(name, value)

    def set_terminal(self, stderr, term, no_color=None):
        sys.stderr = stderr
        self.set_variable("TERM", term)
        self.set_variable("NO_COLOR", no_color)

    def set_variable(self, name, value):
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


class LogFormatterTest(TerminalTestCase):
    def format(self, message, *args, **kwargs):
        """The message part of a formatted record."""
        text = LogFormatter(fmt="<%(message)s>").format(make_record(message, *args, **kwargs))
        self.assertIs(six.text_type, type(text))
        text.encode("utf-8")
        return text

    def test_default_format(self):
        text = LogFormatter().format(make_record("a %s %d", "b", 3))
        six.assertRegex(self, text, r"\A\[I [0-9]{6} [0-9:]{8} module:12\] a b 3\Z")
        for level, letter in ((logging.DEBUG, "D"), (logging.WARNING, "W"), (logging.ERROR, "E")):
            self.assertEqual("[" + letter,
                             LogFormatter().format(make_record("a", level=level))[:2])

    def test_own_format(self):
        formatter = LogFormatter("%(name)s %(asctime)s %(color)s%(message)s%(end_color)s", "%Y")
        six.assertRegex(self, formatter.format(make_record("a")), r"\Aname [0-9]{4} a\Z")

    if not six.PY2:
        def test_styles(self):
            self.assertEqual("INFO:a", LogFormatter("{levelname}:{message}", style="{")
                             .format(make_record("a")))
            self.assertEqual("INFO:a", LogFormatter("$levelname:$message", style="$")
                             .format(make_record("a")))

    def test_unknown_style(self):
        self.assertRaises(ValueError, LogFormatter, style="?")

    def test_b234_bytes_and_text(self):
        for message in (u"\u00e9", u"\u00e9".encode("utf-8")):
            self.assertEqual(u"<\u00e9>", self.format(message))
        self.assertEqual(u"<\\xe9>", self.format(b"\xe9"))
        self.assertEqual(u"<\u00e9>", self.format("%s", u"\u00e9"))
        self.assertEqual(u"<\u0100 %>", self.format(u"\u0100 %"))
        self.assertEqual(u"<5>", self.format(5))

    def test_b234_mixed_encodings(self):
        for message, args in ((u"\u00e9 %s", (b"\xe9",)), (b"\xe9 %s", (u"\u00e9",)),
                              ("%s %s", (u"\u00e9", b"\xe9"))):
            self.assertIn(u"xe9", self.format(message, *args))

    def test_b234_message_that_does_not_fit_its_arguments(self):
        for message, args in (("%d", ("x",)), ("%s", ("a", "b")), ("%s %s", ("a",)), ("%", (1,)),
                              ("%(a)s", ("a",))):
            self.assertIn(u"Bad message (", self.format(message, *args))
        self.assertIn(u"'%d' % ('x',)", self.format("%d", "x"))

    def test_b234_arguments_without_text(self):
        for text in (self.format("%s", Undescribable()), self.format(Undescribable()),
                     self.format("%d", Undescribable())):
            self.assertIn(u"Bad message (", text)

    def test_b234_format_that_does_not_fit(self):
        self.assertIn(u"text", LogFormatter("%(absent)s %(message)s").format(make_record("text")))

    def test_b234_date_format_of_any_text(self):
        for datefmt in (u"%Y \u00e9", "%Y"):
            text = LogFormatter("%(asctime)s|%(message)s", datefmt).format(make_record("a"))
            six.assertRegex(self, text, u"\\A[0-9]{4}( \u00e9)?[|]a\\Z")

    def test_b234_exceptions(self):
        for message in (u"\u00e9\u0100", u"\u00e9".encode("utf-8"), b"\xe9"):
            try:
                raise ValueError(message)
            except ValueError as error:
                # Tests that interrupt at any instruction may leave CPython handling an exception.
                error.__context__ = None
                text = self.format("a", exc_info=sys.exc_info())
            first, second, rest = text.split(u"\n", 2)
            self.assertEqual((u"<a>", u"    Traceback (most recent call last):"), (first, second))
            self.assertIn(u"ValueError", rest)
        try:
            raise Undescribable.__new__(type("Broken", (Undescribable, Exception), {}))
        except Exception:
            self.assertIn(u"Broken", self.format("a", exc_info=sys.exc_info()))

    def test_b234_syntax_error_in_a_line_of_any_text(self):
        for line in (u"caf\u00e9 =", b"caf\xe9 ="):
            try:
                raise SyntaxError("no value", ("page.html", 3, 1, line))
            except SyntaxError:
                text = self.format("a", exc_info=sys.exc_info())
            for piece in (u"test_log", u"SyntaxError: no value", u"page.html"):
                self.assertIn(piece, text)

    def test_exception_text_is_kept_for_other_formatters(self):
        try:
            raise ValueError("\x1b text")
        except ValueError:
            record = make_record("a", exc_info=sys.exc_info())
        first = LogFormatter().format(record)
        self.assertEqual(first, LogFormatter().format(record))
        self.assertEqual(logging.Formatter().formatException(record.exc_info), record.exc_text)

    def test_undecodable_file_names(self):
        # Python 3 reads them as lone surrogates, which no file accepts.
        name = b"a\xff".decode("utf-8", "replace" if six.PY2 else "surrogateescape")
        self.assertTrue(self.format("%s", name).startswith(u"<a"))

    def test_a308_control_characters(self):
        self.assertEqual(u"<a\\x1b[31m\\x00\\x9b\\x7f\\x0d\tb>",
                         self.format(u"a\x1b[31m%s\x7f\r\tb", u"\x00\x9b"))
        try:
            raise ValueError("\x1b[2J")
        except ValueError:
            text = self.format("a", exc_info=sys.exc_info())
        self.assertIn(u"\\x1b[2J", text)
        self.assertNotIn(u"\x1b", text)

    def test_a308_later_lines_are_indented(self):
        self.assertEqual(u"<a\n    [E 000000 forged\n    \n    b>",
                         self.format("a\n%s\n\nb", "[E 000000 forged"))

    if not six.PY2:
        def test_stack_info(self):
            record = make_record("a")
            record.stack_info = "Stack:\n  here"
            self.assertEqual("a\n    Stack:\n      here",
                             LogFormatter("%(message)s").format(record))


class ColorTest(TerminalTestCase):
    def format(self, level=logging.INFO, **kwargs):
        return LogFormatter("%(color)s<%(end_color)s%(message)s", **kwargs).format(
            make_record("a", level=level))

    def test_on_a_terminal(self):
        self.set_terminal(Terminal(), "xterm")
        self.assertEqual(u"\x1b[32m<\x1b[0ma", self.format())
        self.assertEqual(u"\x1b[31m<\x1b[0ma", self.format(logging.ERROR))
        self.assertEqual(u"<a", self.format(level=5))
        self.assertEqual(u"\x1b[36m<\x1b[0ma", self.format(colors={logging.INFO: 6}))
        self.assertEqual(u"<a", self.format(color=False))
        self.assertEqual(5, len(LogFormatter.DEFAULT_COLORS))

    def test_elsewhere(self):
        for stderr, term, no_color in (
                (Terminal(False), "xterm", None), (Terminal(), "dumb", None),
                (Terminal(), None, None), (Terminal(), "xterm", "1"), (None, "xterm", None),
                (object(), "xterm", None), (self.closed_stream(), "xterm", None)):
            self.set_terminal(stderr, term, no_color)
            self.assertEqual(u"<a", self.format())

    def closed_stream(self):
        stream = io.StringIO()
        stream.close()
        return stream


class EscapeControlsTest(unittest.TestCase):
    def test_a308_each_is_visible(self):
        self.assertEqual("GET /\\x1b[31m\\x0a\\x0d\\x09\\x00\\x7f x",
                         escape_controls("GET /\x1b[31m\n\r\t\x00\x7f x"))
        self.assertEqual(u"\\x9b\u00e9\\x0a", escape_controls(u"\x9b\u00e9\n"))
        self.assertIs(str, type(escape_controls("\n")))
        text = "/%1b?a=\\x1b"
        self.assertEqual(text, escape_controls(text))

    def test_a308_octets_of_a_character_stay_together(self):
        # On Python 2 a native string is UTF-8, and 0x9b is a part of this letter.
        text = "\xc4\x9b" if six.PY2 else "\u011b"
        self.assertEqual(text, escape_controls(text))


class EnablePrettyLoggingTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.path = os.path.join(self.folder, "app.log")
        self.logger = logging.Logger("test")
        self.addCleanup(log.set_defaults, log._default_options)

    def tearDown(self):
        for handler in self.logger.handlers:
            handler.close()
        shutil.rmtree(self.folder)

    def options(self, **kwargs):
        options = dict((name, value) for name, value in vars(log._Defaults).items()
                       if not name.startswith("_"))
        options.update(kwargs)
        return ObjectDict(options)

    def read(self):
        with io.open(self.path, encoding="utf-8") as lines:
            return lines.read()

    def test_to_standard_error_by_default(self):
        enable_pretty_logging(logger=self.logger)
        handler, = self.logger.handlers
        self.assertIs(logging.StreamHandler, type(handler))
        self.assertIs(LogFormatter, type(handler.formatter))
        self.assertEqual(logging.INFO, self.logger.level)
        # A logger that has another handler gets one only on request.
        self.logger.addHandler(logging.NullHandler())
        enable_pretty_logging(logger=self.logger)
        self.assertEqual(1, len(self.logger.handlers))
        enable_pretty_logging(self.options(log_to_stderr=True), self.logger)
        self.assertEqual(2, len(self.logger.handlers))

    def test_root_logger_is_the_default(self):
        root = logging.getLogger()
        handlers, level = root.handlers, root.level
        root.handlers = []
        try:
            enable_pretty_logging()
            self.assertEqual(1, len(root.handlers))
            self.assertEqual(logging.INFO, root.level)
        finally:
            root.handlers = handlers
            root.setLevel(level)

    def test_levels(self):
        for name, level in (("debug", logging.DEBUG), ("Error", logging.ERROR),
                            ("WARNING", logging.WARNING)):
            enable_pretty_logging(self.options(logging=name), self.logger)
            self.assertEqual(level, self.logger.level)
        for name in ("loud", "getLogger", ""):
            self.assertRaises(ValueError, enable_pretty_logging, self.options(logging=name),
                              self.logger)

    def test_none_changes_nothing(self):
        for name in ("none", "None", None):
            enable_pretty_logging(self.options(logging=name, log_file_prefix=self.path),
                                  self.logger)
        self.assertEqual(([], 0, []), (self.logger.handlers, self.logger.level,
                                       os.listdir(self.folder)))

    def test_b234_file_takes_every_text(self):
        enable_pretty_logging(self.options(log_file_prefix=self.path), self.logger)
        handler, = self.logger.handlers
        self.assertIs(logging.handlers.RotatingFileHandler, type(handler))
        self.assertEqual((100 * 1000 * 1000, 10), (handler.maxBytes, handler.backupCount))
        self.logger.info(u"\u00e9\u0100")
        self.logger.info(b"\xff")
        self.logger.info(u"\ud800")
        first, second, third = self.read().splitlines()
        self.assertTrue(first.endswith(u"] \u00e9\u0100"), first)
        self.assertTrue(second.endswith(u"] \\xff"), second)
        self.assertNotIn(u"\x1b", first)

    def test_file_rotates_by_size(self):
        enable_pretty_logging(self.options(log_file_prefix=self.path, log_file_max_size=200,
                                           log_file_num_backups=2), self.logger)
        for _ in range(20):
            self.logger.info("x" * 50)
        self.assertEqual(3, len(glob.glob(self.path + "*")))

    def test_file_rotates_by_time(self):
        enable_pretty_logging(self.options(
            log_file_prefix=self.path, log_rotate_mode="time", log_rotate_when="H",
            log_rotate_interval=2, log_file_num_backups=3), self.logger)
        handler, = self.logger.handlers
        self.assertIs(logging.handlers.TimedRotatingFileHandler, type(handler))
        self.assertEqual(("H", 2 * 60 * 60, 3),
                         (handler.when, handler.interval, handler.backupCount))
        self.logger.info(u"\u0100")
        self.assertIn(u"\u0100", self.read())

    def test_unknown_rotation(self):
        self.assertRaises(ValueError, enable_pretty_logging, self.options(
            log_file_prefix=self.path, log_rotate_mode="moon"), self.logger)
        self.assertEqual([], self.logger.handlers)

    def test_file_and_standard_error(self):
        enable_pretty_logging(self.options(log_file_prefix=self.path, log_to_stderr=True),
                              self.logger)
        self.assertEqual([logging.handlers.RotatingFileHandler, logging.StreamHandler],
                         [type(handler) for handler in self.logger.handlers])

    def test_defaults_that_were_set(self):
        log.set_defaults(self.options(logging="error"))
        enable_pretty_logging(logger=self.logger)
        self.assertEqual(logging.ERROR, self.logger.level)

    def test_as_options_of_a_program(self):
        options = OptionParser()
        define_logging_options(options)
        log.set_defaults(self.options())
        root = logging.getLogger()
        handlers, level = root.handlers, root.level
        root.handlers = []
        try:
            options.parse_command_line(["program", "--logging=warning", "--log-format=json",
                                        "--log-file-prefix=" + self.path])
            root.warning(u"\u00e9")
        finally:
            for handler in root.handlers:
                handler.close()
            root.handlers = handlers
            root.setLevel(level)
        self.assertEqual(u"\u00e9", json.loads(self.read())["message"])

    def test_unknown_format(self):
        self.assertRaises(ValueError, enable_pretty_logging, self.options(log_format="xml"),
                          self.logger)


class JSONFormatterTest(unittest.TestCase):
    def fields(self, *args, **kwargs):
        fields = kwargs.pop("fields", None)
        record = make_record(*args, **kwargs)
        if fields is not None:
            record.fields = fields
        line = JSONFormatter().format(record)
        self.assertNotIn(u"\n", line)
        return json.loads(line)

    def test_line(self):
        fields = self.fields("%s!\n\x1b", u"\u00e9", level=logging.WARNING)
        self.assertRegex(fields.pop("time"), r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z")
        self.assertEqual({"level": "warning", "logger": "name", "place": "module:12",
                          "message": u"\u00e9!\n\\x1b"}, fields)

    if six.PY2:
        assertRegex = unittest.TestCase.assertRegexpMatches

    def test_exception(self):
        try:
            raise KeyError("x")
        except KeyError:
            fields = self.fields("failed", exc_info=sys.exc_info())
        self.assertEqual("failed", fields["message"])
        self.assertIn("KeyError: 'x'", fields["exception"])

    def test_fields(self):
        fields = self.fields("x", fields={"status": 200, "uri": b"/\xff", "bytes": None})
        self.assertEqual((200, u"/\\xff", None),
                         (fields["status"], fields["uri"], fields["bytes"]))

    def test_b234_nothing_raises(self):
        for message, args in [(b"\xff", ()), ("%d", ("x",)), ("%s", (Undescribable(),)),
                              (u"\ud800", ())]:
            self.fields(message, *args)


class PlaceTest(unittest.TestCase):
    def place(self, *path):
        record = logging.LogRecord("name", logging.INFO, os.path.join(*path), 12, "message", (),
                                   None)
        place = LogFormatter("%(place)s").format(record)
        self.assertEqual(place, json.loads(JSONFormatter().format(record))["place"])
        return place

    def test_modules_of_the_framework_show_their_package(self):
        package = os.path.dirname(log.__file__)
        for path, place in (("httpclient/fetch.py", "httpclient.fetch:12"),
                            ("platform/pollers/epoll.py", "platform.pollers.epoll:12"),
                            ("web/__init__.py", "web:12"), ("httpserver.py", "httpserver:12")):
            self.assertEqual(place, self.place(package, *path.split("/")))

    def test_other_modules_show_their_name(self):
        self.assertEqual("main:12", self.place("shop", "main.py"))
        self.assertEqual("client:12", self.place("friendserves", "client.py"))

    def test_b234_record_without_a_place(self):
        for path in (None, u"caf\u00e9/m.py", "m\xff.py"):
            record = logging.LogRecord("name", logging.INFO, path, None, "message", (), None)
            self.assertIn(u"message", LogFormatter().format(record))
            self.assertIn(u"message", JSONFormatter().format(record))

    def test_a_line_that_the_framework_logs(self):
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setFormatter(LogFormatter(color=False))
        gen_log.addHandler(handler)
        try:
            common.warn_of_closed([5])
        finally:
            gen_log.removeHandler(handler)
        six.assertRegex(self, stream.getvalue(),
                        r"\A\[W [0-9]{6} [0-9:]{8} platform\.pollers\.common:[0-9]+\] fd 5: ")


class LoggersTest(unittest.TestCase):
    def test_names(self):
        self.assertEqual(
            ["friendserve.access", "friendserve.application", "friendserve.general"],
            [logger.name for logger in (access_log, app_log, gen_log)])


if __name__ == "__main__":
    unittest.main()
