"""python -m friendserve.porting run: as Python itself would run the program."""
from __future__ import absolute_import, division, print_function

import signal
import unittest

from tests.portingcase import PortingCase

PROGRAM = """
    import os, sys
    import tornado.web, helper
    print(tornado.web.RequestHandler.__module__ + " " + tornado.version)
    print([__name__, os.path.basename(__file__), sys.argv[1:], helper.here])
    print(sys.modules["__main__"].__dict__ is globals())
"""


class RunTest(PortingCase):
    def setUp(self):
        super(RunTest, self).setUp()
        self.write("app/main.py", PROGRAM)
        self.write("app/helper.py", "import tornado.ioloop\nhere = True")

    def test_a_file(self):
        status, output = self.run_command("run", "app/main.py", "--port=1", "-m", "--version")
        self.assertEqual((0, [
            "friendserve.web 4.5.3",
            "['__main__', 'main.py', ['--port=1', '-m', '--version'], True]", "True"]),
            (status, output.splitlines()))

    def test_where_it_looks_for_modules(self):
        self.write("app/paths.py", "import os, sys\nprint(os.path.realpath(sys.path[0]))\n"
                                   "print(sys.argv[0])\nprint(repr(__package__))")
        self.write("app/plain.py", "import os, sys\nprint(os.path.realpath(sys.path[0]))")
        _, plain = self.run_python("app/plain.py")
        self.assertEqual((0, plain + "app/paths.py\nNone\n"),
                         self.run_command("run", "app/paths.py"))

    def test_a_module(self):
        self.write("app/__init__.py", "")
        self.write("app/__main__.py", "import sys, tornado\nprint(__name__ + __package__)\n"
                                      "print(sys.argv[1:])\nprint(tornado.version)")
        self.assertEqual((0, "__main__app\n['-m', 'x']\n2.4.1\n"),
                         self.run_command("run", "--version", "2.4.1", "-m", "app", "-m", "x"))

    def test_inside_a_package_only(self):
        self.write("tornado.py", "version = 'installed'")
        self.write("old.py", "import tornado\nversion = tornado.version")
        self.write("new.py", "import tornado, old\nprint(tornado.version + ' ' + old.version)")
        self.assertEqual((0, "installed 3.2\n"), self.run_command(
            "run", "--package", "old", "--version", "3.2", "new.py"))

    def test_the_exit_status(self):
        for statement, status in (("sys.exit(7)", 7), ("sys.exit()", 0), ("sys.exit('x')", 1),
                                  ("1 / 0", 1), ("pass", 0)):
            self.write("app/end.py", "import sys\n" + statement)
            self.assertEqual(status, self.run_command("run", "app/end.py")[0], statement)

    def test_a_traceback_shows_the_program_only(self):
        self.write("app/bad.py", "def fail():\n    1 / 0\nfail()")
        self.write("bad.py", "import app.bad")
        self.write("app/__init__.py", "")
        self.assertEqual(self.run_python("app/bad.py"), self.run_command("run", "app/bad.py"))
        status, output = self.run_command("run", "-m", "app.bad")
        self.assertEqual(1, status)
        self.assertEqual(["<module>", "fail"], [line.split()[-1] for line in output.splitlines()
                                                if line.startswith("  File ")])

    def test_a_syntax_error(self):
        self.write("app/bad.py", "x = = 1")
        self.assertEqual(self.run_python("app/bad.py"), self.run_command("run", "app/bad.py"))

    def test_it_can_be_interrupted(self):
        self.write("app/bad.py", "raise KeyboardInterrupt()")
        status, output = self.run_command("run", "app/bad.py")
        self.assertEqual(128 + signal.SIGINT, status)
        self.assertTrue(output.rstrip().endswith("KeyboardInterrupt"), output)

    def test_there_is_no_program(self):
        for arguments in (["nothing.py"], ["-m", "nothing"]):
            status, output = self.run_command("run", *arguments)
            self.assertEqual(2, status)
            self.assertIn("The program was not started", output)
            self.assertIn("nothing", output)
            self.assertNotIn("Traceback", output)
        self.assertEqual(2, self.run_command("run")[0])

    def test_the_command_that_starts_it_again(self):
        self.write("app/again.py", """
            import os, sys, tornado
            if "again" not in os.environ:
                os.environ["again"] = "1"
                from friendserve.autoreload import _command_line
                os.execv(sys.executable, _command_line())
            print(tornado.version)
            print(sys.argv[1:])
        """)
        self.assertEqual((0, "2.4.1\n['--port=1']\n"), self.run_command(
            "run", "--version", "2.4.1", "app/again.py", "--port=1"))


class HelpTest(PortingCase):
    def test_without_arguments(self):
        status, output = self.run_command()
        self.assertEqual(0, status)
        for command in ("run", "check", "rewrite"):
            self.assertIn(command, output)
            status, told = self.run_command(command, "--help")
            self.assertEqual(0, status)
            self.assertIn("usage: python -m friendserve.porting " + command, told)

    def test_errors_say_what_to_do(self):
        for arguments in (["check"], ["check", "x", "--installed"], ["rewrite"], ["nothing"]):
            self.assertEqual(2, self.run_command(*arguments)[0])
        self.assertIn("nowhere", self.run_command("check", "nowhere")[1])


if __name__ == "__main__":
    unittest.main()
