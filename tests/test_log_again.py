"""Configuring the log again (B300)."""
from __future__ import absolute_import, division, print_function

import io
import logging
import os
import shutil
import tempfile
import unittest

from friendserve.log import define_logging_options, enable_pretty_logging
from friendserve.options import OptionParser


class ConfigureAgainTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = os.path.join(self.folder, "log")
        self.logger = logging.Logger("again")
        self.addCleanup(self.close)
        self.options = OptionParser()
        define_logging_options(self.options)

    def close(self):
        for handler in self.logger.handlers:
            handler.close()

    def configure(self, **values):
        for name, value in values.items():
            self.options[name] = value
        enable_pretty_logging(self.options, self.logger)

    def kinds(self):
        return [type(handler).__name__ for handler in self.logger.handlers]

    def test_b300_a_record_is_written_once(self):
        for _ in range(3):
            self.configure(log_file_prefix=self.path)
        self.logger.info("once")
        with io.open(self.path) as source:
            self.assertEqual(1, source.read().count("once"))
        self.assertEqual(["RotatingFileHandler"], self.kinds())

    def test_b300_three_parses_make_one_handler(self):
        root = logging.getLogger()
        before, level = list(root.handlers), root.level
        config = os.path.join(self.folder, "config.py")
        with io.open(config, "w") as target:
            target.write(u"log_file_prefix = %r\n" % str(self.path))
        try:
            self.options.parse_config_file(config)
            self.options.parse_environment("AGAIN_", {"AGAIN_LOG_FILE_PREFIX": self.path})
            self.options.parse_command_line(["program", "--log_file_prefix=" + self.path])
            added = [handler for handler in root.handlers if handler not in before]
            self.assertEqual(1, len(added), added)
        finally:
            for handler in [one for one in root.handlers if one not in before]:
                root.removeHandler(handler)
                handler.close()
            root.setLevel(level)

    def test_b300_a_file_replaces_standard_error_and_the_reverse(self):
        self.configure()
        self.assertEqual(["StreamHandler"], self.kinds())
        self.configure(log_file_prefix=self.path)
        self.assertEqual(["RotatingFileHandler"], self.kinds())
        file_handler = self.logger.handlers[0]
        self.configure(log_file_prefix=None, log_to_stderr=True)
        self.assertEqual(["StreamHandler"], self.kinds())
        self.assertIsNone(file_handler.stream)

    def test_b300_handlers_of_others_are_kept(self):
        other = logging.NullHandler()
        self.logger.addHandler(other)
        for _ in range(2):
            self.configure(log_file_prefix=self.path)
        self.assertEqual(["NullHandler", "RotatingFileHandler"], self.kinds())

    def test_b300_a_mistake_leaves_the_log_as_it_was(self):
        self.configure(log_file_prefix=self.path)
        handlers = list(self.logger.handlers)
        self.assertRaises(ValueError, self.configure, log_rotate_mode="never", logging="error")
        self.assertEqual((handlers, logging.INFO), (self.logger.handlers, self.logger.level))
