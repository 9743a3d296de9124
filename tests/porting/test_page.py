"""website/docs/how-to/porting.rst says what the tools do."""
from __future__ import absolute_import, division, print_function

import re
import unittest

from friendserve.porting.command import make_parser
from friendserve.porting.knowledge import GIVEN_UP, KINDS
from tests.docscase import page_text, program_text
from tests.portingcase import PortingCase


class PageTest(PortingCase):
    @classmethod
    def setUpClass(cls):
        cls.page = page_text("how-to/porting.rst")

    def test_its_program(self):
        self.assertEqual(["4.5.3"], self.run_program(program_text("how-to/porting.rst")))

    def test_its_commands(self):
        commands = re.findall(u"^ +(?:\\$ )?python -m friendserve.porting ([^#\n]*)",
                              self.page, re.M)
        self.assertLessEqual(8, len(commands))
        for command in commands:
            words = command.split()
            # What follows the program are its own arguments.
            if words[0] == "run":
                words = words[:3 if words[1].startswith("-") else 2]
            self.assertEqual(words[0], make_parser().parse_args(words).command)

    def test_every_kind_of_finding_is_listed(self):
        for kind, _ in KINDS:
            self.assertIn("\n%sxx   " % kind, self.page)
        for module in GIVEN_UP:
            self.assertIn("``%s``" % module, self.page)

    def test_its_example_of_check(self):
        line = re.search(u"app/main.py:12:8: (.*)", self.page).group(1)
        self.write("app/main.py", "# a comment\n" * 11 + "import tornado.epoll\n")
        self.assertEqual((1, "app/main.py:12:8: %s\n" % line), self.run_command("check", "app"))


if __name__ == "__main__":
    unittest.main()
