"""python -m friendserve.porting check --installed, in a folder of installed distributions."""
from __future__ import absolute_import, division, print_function

import json
import unittest

from friendserve.porting.installed import find_pin, satisfies
from tests.portingcase import PortingCase


class PinTest(unittest.TestCase):
    longMessage = True

    def test_versions(self):
        for pin, good, bad in (
                ("<5,>=3", [(3,), (4, 5, 3)], [(5,), (2, 4, 1), (6, 6, 1)]),
                ("==4.*", [(4,), (4, 5, 3)], [(5, 0), (3, 9)]),
                ("==4.5", [(4, 5), (4, 5, 0)], [(4, 5, 3)]),
                ("~=4.2", [(4, 2), (4, 9)], [(5,), (4, 1)]),
                ("~=4.2.1", [(4, 2, 3)], [(4, 3)]),
                ("!=4.5.*,>4", [(4, 6), (4, 0, 1)], [(4, 5, 3), (4, 0)]),
                ("", [(1,), (6,)], [])):
            for version in good:
                self.assertTrue(satisfies(version, pin), (pin, version))
            for version in bad:
                self.assertFalse(satisfies(version, pin), (pin, version))

    def test_requirements(self):
        for requirement, pin in (
                ("tornado", ""), ("Tornado (<5,>=3)", "<5,>=3"), ("tornado >= 3, < 5", ">=3,<5"),
                ("tornado<5; python_version >= '2.7'", "<5"),
                ("tornado[x]==4.5", "==4.5"), ("tornado<5 ; extra == 'test'", None),
                ("tornado<5; python_version < '2.7'", None), ("tornado-cors", None),
                ("six", None)):
            self.assertEqual(pin, find_pin(["other", requirement]), requirement)


class InstalledTest(PortingCase):
    def install(self, name, version, requires, **modules):
        files = ["%s.py" % module for module in modules]
        for module, text in modules.items():
            self.write(module + ".py", text)
        base = "%s-%s.dist-info/" % (name.replace("-", "_"), version)
        self.write(base + "METADATA", "Metadata-Version: 2.1\nName: %s\nVersion: %s\n%s" % (
            name, version, "".join("Requires-Dist: %s\n" % require for require in requires)))
        self.write(base + "RECORD", "".join("%s,,\n" % path for path in files))

    def setUp(self):
        super(InstalledTest, self).setUp()
        self.install("tornado", "6.6.1", [])
        self.install("old-rpc", "1.0", ["tornado (<5,>=3)"], oldrpc="import tornado.web\n")
        self.install("broken", "1.1", ["tornado <6"], broken="import tornado.nothing\n")
        self.install("modern", "2.0", ["tornado>=6.1"], modern="import tornado.nothing\n")
        self.install("any", "3.0", ["six", "tornado"], anything="x = 1\n")
        self.install("stranger", "1.0", ["six"])

    def test_what_becomes_of_each(self):
        status, output = self.run_command("check", "--installed")
        lines = output.splitlines()
        self.assertEqual("Tornado 6.6.1 is installed.", lines[0])
        for line in ("any 3.0: tornado",
                     "broken 1.1: tornado<6, which conflicts",
                     '    friendserve.porting.alias(packages=["broken"])',
                     "    needs a hand at 1 place; check says which",
                     "modern 2.0: tornado>=6.1",
                     "    needs Tornado 6 or newer, which friendserve does not replace",
                     '    friendserve.porting.alias(packages=["oldrpc"])',
                     "    check finds nothing that needs a hand"):
            self.assertIn(line, lines)
        self.assertNotIn("stranger", output)
        self.assertEqual(1, status)

    def test_json(self):
        found = json.loads(self.run_command("check", "--installed", "--json")[1])
        self.assertEqual("6.6.1", found["tornado"])
        ours = dict((entry["name"], entry) for entry in found["dependents"])
        self.assertEqual([True, True, ["oldrpc"], 0], [
            ours["old-rpc"][key] for key in ("conflicts", "admits", "packages", "findings")])
        self.assertEqual([True, 1], [ours["broken"][key] for key in ("conflicts", "findings")])
        self.assertEqual([False, False], [ours["modern"][key] for key in ("conflicts", "admits")])
        self.assertEqual([False, True], [ours["any"][key] for key in ("conflicts", "admits")])


if __name__ == "__main__":
    unittest.main()
