"""What a restarted program inherits (B301)."""
from __future__ import absolute_import, division, print_function

from tests.autoreloadcase import ProgramCase

_BLOCKING = u"""
import signal, time
from friendserve.ioloop import IOLoop
IOLoop.current().set_blocking_log_threshold(0.05)
"""


class RestartStateTest(ProgramCase):
    def check(self):
        arguments, value, _, kind = self.lines(1)[0]
        self.assertEqual("one", value)
        self.write("module.py", u"VALUE = 'two'\n")
        self.assertEqual([arguments, "two"], self.lines(2)[1][:2])
        self.write("module.py", u"VALUE = 'three'\n")
        self.assertEqual([arguments, "three"], self.lines(3)[2][:2])

    def test_b301_a_script_that_changed_the_folder(self):
        self.write_program()
        self.change_folder()
        self.start("program.py", "x")
        self.check()

    def test_b301_a_module_that_changed_the_folder(self):
        self.write_program("package/program.py", "module")
        self.write("package/__init__.py", u"")
        self.change_folder("package/program.py")
        self.start("-m", "package.program", "x")
        self.check()

    def change_folder(self, name="program.py"):
        """Let the program change its folder once it has imported everything, as daemons do."""
        path = self.folder + "/" + name
        with open(path) as source:
            text = source.read()
        text = text.replace("application = ", "os.chdir('/')\napplication = ", 1)
        self.write(name, text if isinstance(text, type(u"")) else text.decode("ascii"))

    def test_b301_the_timer_of_a_blocking_threshold_ends_with_the_program(self):
        # The new program needs longer than the threshold until its loop runs.
        self.write_program(before=u"import time; time.sleep(0.2)" + _BLOCKING)
        self.start("program.py", "x")
        self.check()
