# -*- coding: utf-8 -*-
"""Options: definitions, the command line, files, the environment, and the help (B235)."""
from __future__ import absolute_import, division, print_function

import datetime
import functools
import io
import logging
import os
import subprocess
import sys
import tempfile
import unittest

import six

from friendserve import log
from friendserve import options as module
from friendserve.options import Error, OptionParser
from tests import ROOT


class OptionsCase(unittest.TestCase):
    def setUp(self):
        self.options = OptionParser()

    def parse(self, *args, **kwargs):
        return self.options.parse_command_line(["program"] + list(args), **kwargs)

    def refuses(self, text, function, *args, **kwargs):
        with self.assertRaises(Error) as caught:
            function(*args, **kwargs)
        self.assertIn(text, str(caught.exception))


class CommandLineTest(OptionsCase):
    def test_values_and_what_remains(self):
        self.options.define("port", default=80)
        self.options.define("name", type=str)
        self.options.define("fast", default=False)
        self.assertEqual(["file", "--port=1"],
                         self.parse("--port=443", "-name=a=b", "--fast", "file", "--port=1"))
        self.assertEqual((443, "a=b", True),
                         (self.options.port, self.options.name, self.options.fast))
        self.assertEqual(["--x"], self.parse("--port=5", "--", "--x"))
        self.assertEqual([], self.parse())
        self.assertEqual(["-"], self.parse("-"))

    def test_dashes_and_underscores_are_the_same(self):
        self.options.define("log_it", default=1)
        self.options.define("and-that", default=2)
        self.parse("--log-it=3", "--and_that=4")
        self.assertEqual((3, 4), (self.options.log_it, self.options.and_that))
        self.assertEqual(3, self.options["log-it"])
        self.assertIn("log-it", self.options)

    def test_types(self):
        moment, span = datetime.datetime(2009, 9, 10, 12, 30), datetime.timedelta
        for kind, text, value in [
                (str, "text", "text"), (int, "5", 5), (float, "1.5", 1.5), (bool, "f", False),
                (bool, "0", False), (bool, "true", True),
                (datetime.datetime, "2009-09-10 12:30:00", moment),
                (datetime.datetime, "2009-09-10T12:30", moment),
                (datetime.datetime, "Thu Sep 10 12:30:00 2009", moment),
                (datetime.timedelta, "1h30m", span(hours=1, minutes=30)),
                (datetime.timedelta, "-5 min", span(minutes=-5)),
                (datetime.timedelta, "1.5", span(seconds=1.5)),
                (datetime.timedelta, "2d 3ms", span(days=2, milliseconds=3))]:
            options = self.options = OptionParser()
            options.define("x", type=kind)
            self.assertIsNone(options.x)
            self.parse("--x=" + text)
            self.assertEqual((value, type(value)), (options.x, type(options.x)))

    def test_text_is_native(self):
        self.options.define("name", type=str)
        self.parse("--name=" + ("\xc3\xa9" if six.PY2 else u"\xe9"))
        self.assertIs(str, type(self.options.name))

    def test_many_values_and_ranges(self):
        self.options.define("ports", type=int, multiple=True)
        self.options.define("names", default=["x"], multiple=True)
        self.parse("--ports=1,3:5", "--names=a,b")
        self.assertEqual(([1, 3, 4, 5], ["a", "b"]), (self.options.ports, self.options.names))
        self.refuses("100000", self.parse, "--ports=1:1000000000")

    def test_errors_say_what_would_be_right(self):
        self.options.define("port", default=80, metavar="PORT")
        self.options.define("on", default=False)
        self.options.define("wait", type=datetime.timedelta)
        self.options.define("at", type=datetime.datetime)
        for text, argument in [
                ("did you mean --port?", "--prot=5"), ("--help", "--unknown"),
                ("--port=PORT", "--port"), ("--port cannot be 'x'", "--port=x"),
                ("true or false", "--on=maybe"), ("1h 30m", "--wait=soon"),
                ("unit 'y'", "--wait=1y"), ("1h 30m", "--wait="), ("2009-09-10", "--at=noon")]:
            self.refuses(text, self.parse, argument)

    def test_callbacks(self):
        seen = []
        self.options.define("port", default=80, callback=seen.append)
        self.options.add_parse_callback(lambda: seen.append("parsed"))
        self.parse("--port=1", final=False)
        self.assertEqual([1], seen)
        self.parse("--port=2")
        self.assertEqual([1, 2, "parsed"], seen)


class DefinitionTest(OptionsCase):
    def test_twice_is_an_error_that_names_both_places(self):
        self.options.define("port", default=80)
        self.refuses("test_options", self.options.define, "port")
        self.refuses("already defined", self.options.define, "help")

    def test_values_have_their_type(self):
        self.options.define("port", default=80)
        self.options.define("names", type=str, multiple=True)
        self.options.define("share", type=float)
        self.options.port = 443
        self.options.names = [u"a", "b"]
        self.options.share = 1
        self.options["port"] = None
        for name, value in [("port", "443"), ("port", 443.5), ("names", "a"), ("names", [1]),
                            ("share", "x")]:
            self.refuses(name, setattr, self.options, name, value)
        with self.assertRaises(AttributeError):
            self.options.unknown
        with self.assertRaises(AttributeError):
            self.options.unknown = 5
        with self.assertRaises(KeyError):
            self.options["unknown"]

    def test_groups(self):
        self.options.define("a", default=1, group="one")
        self.options.define("b", default=2)
        self.assertEqual({"a": 1}, self.options.group_dict("one"))
        self.assertEqual({"a": 1, "b": 2, "help": None}, self.options.as_dict())
        self.assertEqual({"one", "", __file__.replace(".pyc", ".py")}, set(
            group.replace(".pyc", ".py") for group in self.options.groups()))
        self.assertEqual([("a", 1), ("b", 2), ("help", None)], sorted(self.options.items()))
        self.assertEqual(["a", "b", "help"], sorted(self.options))

    def test_b470_the_group_of_an_option_defined_through_a_partial(self):
        functools.partial(self.options.define, "a")(default=1)
        self.assertEqual({"", __file__.replace(".pyc", ".py")}, set(
            group.replace(".pyc", ".py") for group in self.options.groups()))

    def test_mockable(self):
        self.options.define("port", default=80)
        mockable = self.options.mockable()
        mockable.port = 5
        self.assertEqual(5, self.options.port)
        with self.assertRaises(RuntimeError):
            mockable.port = 6
        del mockable.port
        self.assertEqual((80, 80), (self.options.port, mockable.port))


class FilesTest(OptionsCase):
    def write(self, text):
        fd, path = tempfile.mkstemp(".conf")
        self.addCleanup(os.remove, path)
        with io.open(fd, "w", encoding="utf-8") as target:
            target.write(text)
        return path

    def test_config_file(self):
        self.options.define("port", default=80)
        self.options.define("names", type=str, multiple=True)
        self.options.define("wait", type=datetime.timedelta)
        self.options.define("greeting", type=str)
        self.options.define("place", type=str)
        called = []
        self.options.add_parse_callback(lambda: called.append(1))
        path = self.write(u"# -*- coding: utf-8 -*-\nimport os\nport = 443\nnames = 'a,b'\n"
                          u"wait = '5m'\ngreeting = u'Gr\xfc\xdfe'\nplace = __file__\n"
                          u"unknown = os\n")
        self.options.parse_config_file(path)
        self.assertEqual((443, ["a", "b"], datetime.timedelta(minutes=5), u"Gr\xfc\xdfe", path),
                         (self.options.port, self.options.names, self.options.wait,
                          self.options.greeting, self.options.place))
        self.assertEqual([1], called)

    def test_config_file_with_bad_values(self):
        self.options.define("port", default=80)
        self.options.define("names", type=str, multiple=True)
        for text, line in [("port", u"port = 1.5"), ("port", u"port = 'x'"),
                           ("a list", u"names = 5"), ("names", u"names = [5]")]:
            self.refuses(text, self.options.parse_config_file, self.write(line + u"\n"))

    def test_environment(self):
        self.options.define("log_file", type=str)
        self.options.define("port", default=80)
        self.options.parse_environment(
            "APP_", {"APP_LOG_FILE": "x", "APP_PORT": "5", "PORT": "6", "APP_OTHER": "7",
                     "APP_HELP": "1"})
        self.assertEqual(("x", 5, None),
                         (self.options.log_file, self.options.port, self.options.help))
        self.refuses("--port", self.options.parse_environment, "APP_", {"APP_PORT": "x"})


class HelpTest(OptionsCase):
    def test_help(self):
        self.options.define("port", default=80, metavar="PORT", help="where to listen", group="net")
        self.options.define("fast", default=False, help="do it fast " * 8, group="net")
        self.options.define("a_name_that_is_much_longer_than_others", type=str, help="long",
                            group="net")
        target = io.StringIO() if not six.PY2 else io.BytesIO()
        self.options.print_help(target)
        text = target.getvalue()
        self.assertIn("\nnet options:\n", text)
        self.assertIn("\n  --port=PORT                      where to listen (default 80)\n", text)
        self.assertIn("\n  --a-name-that-is-much-longer-than-others=VALUE\n"
                      "                                   long\n", text)
        self.assertIn("  --fast      ", text)
        self.assertLessEqual(max(len(line) for line in text.split("\n")), 79)

    def test_placeholders(self):
        for type, text in ((int, "NUMBER"), (float, "NUMBER"), (datetime.timedelta, "DURATION"),
                           (datetime.datetime, "TIME"), (str, "VALUE")):
            self.options.define("a" + text.lower() + type.__name__, type=type, group="kinds")
        target = io.StringIO() if not six.PY2 else io.BytesIO()
        self.options.print_help(target)
        for text in ("--anumberint=NUMBER", "--anumberfloat=NUMBER", "--avaluestr=VALUE",
                     "--adurationtimedelta=DURATION", "--atimedatetime=TIME"):
            self.assertIn(text, target.getvalue())

    def test_program(self):
        code = ("from friendserve.options import define, options, parse_command_line\n"
                "define('port', default=80, help='where to listen')\n"
                "parse_command_line()\nprint(options.port)\n")

        def run(*args):
            process = subprocess.Popen([sys.executable, "-c", code] + list(args), cwd=ROOT,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                       universal_newlines=True)
            output, errors = process.communicate()
            return process.returncode, output, errors

        self.assertEqual((0, "443\n", ""), run("--port=443"))
        status, output, errors = run("--help")
        self.assertEqual((0, ""), (status, errors))
        self.assertIn("  --port=NUMBER                    where to listen (default 80)\n", output)
        # Those of the program come first, then those of modules, by their names.
        self.assertLess(output.index("--port"), output.index("\nfriendserve.options options:\n"))
        self.assertLess(output.index("\nfriendserve.options options:\n"),
                        output.index("--log-file-prefix=PATH"))
        self.assertNotIn("frozen", output)
        self.assertEqual((0, output, ""), run("-h"))

    def test_what_is_wrong_is_told_in_one_line(self):
        code = ("from friendserve.options import define, options, parse_command_line\n"
                "define('port', default=80)\ndefine('fast', default=False)\n"
                "left = parse_command_line(arguments=%r)\nprint(options.port, left)\n")

        def run(arguments, *args):
            process = subprocess.Popen([sys.executable, "-c", code % arguments] + list(args),
                                       cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                       universal_newlines=True)
            output, errors = process.communicate()
            return process.returncode, output, errors

        usage = "Usage: -c [OPTIONS]\n-c: "
        for args, text in (
                (["--prot=5"], "unknown option --prot; did you mean --port?"),
                (["--port"], "option --port needs a value: --port=NUMBER"),
                (["--port", "--fast"], "option --port needs a value: --port=NUMBER"),
                (["--fast", "9000"], "unexpected argument 9000"),
                (["-x"], "unknown option -x; --help lists all options")):
            self.assertEqual((2, "", usage + text + "\n"), run(False, *args))
        status, output, errors = run(False, "--port=many")
        self.assertIn("option --port cannot be 'many': ", errors)
        for args in (["--port", "9000"], ["--port=9000"], ["--fast", "--port", "9000"]):
            self.assertEqual((0, "9000 []", ""), self.native(run(False, *args)))
        self.assertEqual((0, "-5 ['a', 'b']", ""), self.native(run(True, "--port", "-5", "a", "b")))

    def native(self, outcome):
        status, output, errors = outcome
        if sys.version_info < (3,):
            output = output.replace("(", "").replace(")", "").replace(",", "", 1)
        return status, output.strip(), errors


class ProgramsOptionsTest(unittest.TestCase):
    def test_the_options_of_the_program_have_those_of_the_log(self):
        self.assertEqual("info", module.options.logging)
        self.assertEqual("text", module.options["log-format"])

    def test_the_log_is_set_up_by_them(self):
        logger = logging.Logger("test")
        self.addCleanup(setattr, module.options, "logging", module.options.logging)
        module.options.logging = "error"
        log.enable_pretty_logging(logger=logger)
        self.assertEqual(logging.ERROR, logger.level)
