"""A short run of the wake-up stress in each of its modes, the bridges among them, over each poller.
"""
from __future__ import absolute_import, division, print_function

import os
import subprocess
import sys
import unittest

from tests import ROOT
from tests.ioloop import stress

#: Seconds for each run.
SHORT = 0.15


class StressTest(unittest.TestCase):
    longMessage = True

    def test_b292_b293_b296_b297_no_wake_up_is_lost(self):
        for name, poller in stress.combinations():
            for threads in (1, stress.THREADS):
                outcome = stress.stress(name, SHORT, poller, threads=threads)
                run = name, poller, threads
                self.assertEqual((0, outcome.added), (outcome.lost, outcome.called), run)
                self.assertLess(threads, outcome.added, run)

    def test_b292_a_wake_up_that_is_lost_is_found(self):
        def deaf(poller, started):
            loop = stress.IOLoop(impl=poller, make_current=False)
            loop._wake = lambda: None
            started(loop, loop.stop)
            loop.start()
            loop.close()
        stress.MODES["deaf"] = deaf
        self.addCleanup(stress.MODES.pop, "deaf")
        outcome = stress.stress("deaf", SHORT, patience=0.1)
        self.assertEqual(stress.THREADS, outcome.lost)

    def test_the_command(self):
        output = subprocess.check_output(
            [sys.executable, os.path.join("tests", "ioloop", "stress.py"), "thread", "0.1"],
            cwd=ROOT).decode("ascii")
        self.assertIn("thread", output)
        self.assertIn("lost: 0", output)
