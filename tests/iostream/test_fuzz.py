"""B267: a part of the scenarios of tests/iostream/fuzz.py, which see."""
from __future__ import absolute_import, division, print_function

import unittest

from tests.iostream import fuzz


class FuzzTest(unittest.TestCase):
    longMessage = True

    def test_b267_random_conversations_with_faults(self):
        self.assertEqual([], fuzz.run(range(1, 501)))

    def test_b267_found_before(self):
        for seed, what in (
                (16492, "close_notify whose last bytes meet a peer that has closed"),):
            self.assertEqual([], fuzz.run([seed]), what)

    def test_b267_a_scenario_depends_on_its_seed_alone(self):
        def plan(seed):
            chance = fuzz.random.Random(seed)
            return [(side.payload, side.end, side.wants_all) for side in (
                fuzz.Side(NoStream(), chance, "tcp"), fuzz.Side(NoStream(), chance, "tcp"))]
        self.assertEqual(plan(7), plan(7))
        self.assertNotEqual(plan(7), plan(8))


class NoStream(object):
    def set_close_callback(self, callback):
        pass


if __name__ == "__main__":
    unittest.main()
