"""Differences from Tornado that its own test suite met."""
from __future__ import absolute_import, division, print_function

import logging
import unittest

from friendserve import concurrent, gen
from friendserve.httpclient import HTTPRequest
from friendserve.log import LogFormatter
from friendserve.porting.private import RequestProxy, mask_in_python
from friendserve.util import Configurable
from tests.portingcase import PortingCase


class Interface(Configurable):
    @classmethod
    def configurable_base(cls):
        return Interface

    @classmethod
    def configurable_default(cls):
        return Default


class Default(Interface):
    pass


class Other(Interface):
    def initialize(self, size=1):
        self.size = size


class SuiteDifferencesTest(unittest.TestCase):
    def test_a_formatter_takes_colours_from_its_attributes(self):
        formatter = LogFormatter("%(color)s%(levelname)s%(end_color)s %(message)s", color=False)
        formatter._colors = {logging.ERROR: u"<"}
        formatter._normal = u">"

        def show(level):
            return formatter.format(logging.LogRecord("", level, "", 1, "text", (), None))

        self.assertEqual("<ERROR> text", show(logging.ERROR))
        self.assertEqual("INFO", show(logging.INFO).split(">")[0].split(" ")[0])

    def test_a_configuration_can_be_saved_and_restored(self):
        saved = Interface._save_configuration()
        self.addCleanup(Interface._restore_configuration, saved)
        Interface.configure(Other, size=5)
        inner = Interface._save_configuration()
        Interface.configure(None)
        Interface._restore_configuration(inner)
        self.assertEqual(5, Interface().size)
        Interface._restore_configuration(saved)
        self.assertEqual(Default, type(Interface()))

    def test_a_proxy_of_a_request_has_its_attributes_and_then_the_defaults(self):
        proxy = RequestProxy(HTTPRequest("http://a/", user_agent="one"),
                             {"user_agent": "two", "network_interface": "lo"})
        self.assertEqual(("one", "lo"), (proxy.user_agent, proxy.network_interface))
        self.assertIsNone(proxy.auth_username)
        self.assertRaises(AttributeError, getattr, proxy, "colour")
        self.assertIsNone(RequestProxy(HTTPRequest("http://a/"), None).auth_username)

    def test_gen_has_the_names_of_futures(self):
        self.assertIs(concurrent.Future, gen.Future)
        self.assertIs(concurrent.is_future, gen.is_future)

    def test_the_mask_comes_first(self):
        self.assertEqual(b"\x01\x00\x03\x00\x01", mask_in_python(b"\x01\x02\x03\x04",
                                                                 b"\x00\x02\x00\x04\x00"))


class PrivateNamesTest(PortingCase):
    def test_they_are_there_under_the_alias(self):
        self.assertEqual(["RequestProxy", "mask_in_python"], self.run_program("""
            import friendserve.porting
            friendserve.porting.alias()
            from tornado.httpclient import _RequestProxy
            from tornado.util import _websocket_mask_python
            print(_RequestProxy.__name__)
            print(_websocket_mask_python.__name__)
        """))


if __name__ == "__main__":
    unittest.main()
