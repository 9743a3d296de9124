"""Shared by the tests of the corpora: one test for each file in a folder."""
from __future__ import absolute_import, division, print_function

import os

from tests import CORPUS


def for_each_file(corpus, at_least):
    """A class decorator: adds a test for each file of this corpus, which calls `check_file(path)`,
    and one that the corpus has at least `at_least` files."""
    folder = os.path.join(CORPUS, corpus)
    names = sorted(os.listdir(folder))

    def decorate(cls):
        for name in names:
            def test(self, path=os.path.join(folder, name)):
                self.check_file(path)
            setattr(cls, str("test_" + name.partition(".")[0]), test)

        def test_each_file_has_a_test(self):
            self.assertLessEqual(at_least, len(names))
            for name in names:
                self.assertTrue(hasattr(self, "test_" + name.partition(".")[0]), name)

        cls.test_each_file_has_a_test = test_each_file_has_a_test
        return cls
    return decorate
