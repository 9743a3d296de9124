"""Shared by the tests with translations: their files; the state of `locale` is restored."""
from __future__ import absolute_import, division, print_function

import io
import os
import shutil
import tempfile
import unittest

from friendserve import locale
from tests.loopcase import LogCatcher


class LocaleCase(unittest.TestCase):
    def setUp(self):
        self.before = (locale._default, locale._translations, locale._use_gettext,
                       locale._supported_locales)
        self.addCleanup(self.restore)
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)

    def restore(self):
        (locale._default, locale._translations, locale._use_gettext,
         locale._supported_locales) = self.before
        locale._locales.clear()
        locale._matches = {}

    def write(self, name, text, encoding="utf-8"):
        path = os.path.join(self.folder, name)
        if not os.path.isdir(os.path.dirname(path)):
            os.makedirs(os.path.dirname(path))
        with io.open(path, "wb") as target:
            target.write(text if isinstance(text, bytes) else text.encode(encoding))

    def load(self, **texts):
        """Load CSV files by the name of their locale; return the log messages."""
        for code, text in texts.items():
            self.write(code + ".csv", text)
        with LogCatcher() as records:
            locale.load_translations(self.folder)
        return [record.getMessage() for record in records]
