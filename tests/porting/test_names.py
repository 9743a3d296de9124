"""The public names of Tornado are here, or it is said why not (row B341).

`names.txt` lists those of Tornado 1.2.1, 2.4.1, 4.5.3 and 5.1.1, without their parameters, and
without the modules `auth`, `process`, `platform.asyncio` and `platform.twisted`; `given_up.txt`
says why some of them are missing.
"""
from __future__ import absolute_import, division, print_function

import importlib
import inspect
import os
import unittest

FOLDER = os.path.dirname(os.path.abspath(__file__))

#: Modules that need a package that not every Python has.
OPTIONAL = ("curl_httpclient", "platform.caresresolver")

NEEDS_A_PACKAGE = object()


def read(name):
    with open(os.path.join(FOLDER, name)) as source:
        return [line.rstrip("\n") for line in source if line.strip() and not line.startswith("#")]


def find(name):
    """What a dotted name inside the package stands for. Raises AttributeError."""
    parts = name.split(".")
    for length in range(len(parts), -1, -1):
        try:
            found = importlib.import_module(".".join(["friendserve"] + parts[:length]))
            break
        except ImportError:
            if ".".join(parts[:length]) in OPTIONAL:
                return NEEDS_A_PACKAGE
    for part in parts[length:]:
        found = getattr(found, part)
    return found


def exists(name):
    try:
        find(name)
    except AttributeError:
        return False
    return True


class NamesTest(unittest.TestCase):
    def test_p34_each_name_exists_or_is_given_up(self):
        given_up = [line.split("  ")[0] for line in read("given_up.txt")]
        names = read("names.txt")
        self.assertGreater(len(names), 850)
        self.assertEqual([], [name for name in names if not exists(name) and not any(
            name == one or name.startswith(one + ".") for one in given_up)])

    def test_p34_what_is_given_up_has_a_reason_and_is_not_here(self):
        for line in read("given_up.txt"):
            name, _, reason = line.partition("  ")
            self.assertTrue(reason.strip(), line)
            # The alias, which another test may have made, adds this one.
            if "(" not in name and name != "netutil.TCPServer":
                self.assertFalse(exists(name), line)

    def test_p34_names_of_parameters(self):
        for name, wanted in [
                ("web.URLSpec", ["pattern", "handler_class", "kwargs", "name"]),
                ("web.RequestHandler.get_secure_cookie", ["include_name", "value"]),
                ("database.Connection.get", ["query"]),
                ("database.Connection.executemany", ["query", "parameters"]),
                ("concurrent.Future.add_done_callback", ["fn"]),
                ("httpserver.HTTPServer.initialize", [
                    "request_callback", "no_keep_alive", "io_loop", "xheaders", "ssl_options"])]:
            function = find(name)
            function = function.__init__ if inspect.isclass(function) else function
            code = getattr(function, "__func__", function).__code__
            self.assertEqual(set(), set(wanted) - set(code.co_varnames[:code.co_argcount]), name)


if __name__ == "__main__":
    unittest.main()
