"""Test cases and contexts about what is logged."""
from __future__ import absolute_import, division, print_function

import logging
import re
import unittest

import six


class ExpectLog(logging.Filter):
    """Expects a log message in a ``with`` block, and hides it.

        with ExpectLog("friendserve.general", "Cannot send"):
            ...

    `logger` is a Logger or its name, "" for the root; only messages logged to that logger itself
    are seen. `regex` must match the beginning of the message. At the end AssertionError is raised
    if there was no such message, unless `required` is false. `matched` says whether there was one,
    and `logged_stack` whether one had a traceback.
    """
    def __init__(self, logger, regex, required=True):
        super(ExpectLog, self).__init__()
        self.logger = logging.getLogger(logger) if isinstance(logger, six.string_types) else logger
        self.regex = re.compile(regex)
        self.required = required
        self.matched = self.logged_stack = False

    def filter(self, record):
        """Whether the record is not one of those expected."""
        expected = self.regex.match(record.getMessage()) is not None
        self.matched = self.matched or expected
        self.logged_stack = self.logged_stack or bool(record.exc_info)
        return not expected

    def __enter__(self):
        self.logger.addFilter(self)
        return self

    def __exit__(self, *exc_info):
        self.logger.removeFilter(self)
        if exc_info[0] is None and self.required and not self.matched:
            raise AssertionError("nothing was logged that begins with %r" % self.regex.pattern)


class _Keep(logging.Handler):
    """Keeps records, with the logger that each came from."""
    def __init__(self):
        logging.Handler.__init__(self)
        self.records = []

    def emit(self, record):
        self.records.append(record)


class LogTrapTestCase(unittest.TestCase):
    """A TestCase whose tests log nothing unless they fail: then the handlers of the root logger get
    what was logged in the meantime."""

    def run(self, result=None):
        root = logging.getLogger()
        if result is None or not root.handlers:
            return super(LogTrapTestCase, self).run(result)
        handlers, keep = root.handlers, _Keep()
        root.handlers = [keep]
        failed = len(result.failures) + len(result.errors)
        try:
            return super(LogTrapTestCase, self).run(result)
        finally:
            root.handlers = handlers
            if len(result.failures) + len(result.errors) > failed:
                for record in keep.records:
                    root.handle(record)
