"""Behaviour of loops over pollers of other programs, and errors of handlers, that programs written
for Tornado rely on, by the numbers of a list of differences."""
from __future__ import absolute_import, division, print_function

import errno
import os
import unittest

from friendserve.ioloop import IOLoop, PollIOLoop
from friendserve.platform.pollers.auto import available_pollers, make_poller
from tests.loopcase import Loops


class Plug(object):
    """An object without `fileno()` that a foreign poller can watch, as a socket of ZeroMQ is."""
    closed = False

    def close(self):
        self.closed = True


class ForeignPoller(object):
    """A poller as pyzmq has one: with Tornado's methods and no others, and objects beside fds."""
    def __init__(self):
        self.real = make_poller("auto")
        self.plugs = {}
        self.ready = []
        self.log = []
        self.closed = False

    def register(self, fd, events):
        self.log.append(("register", fd, events))
        if isinstance(fd, Plug):
            self.plugs[fd] = events
        else:
            self.real.register(fd, events)

    def modify(self, fd, events):
        self.log.append(("modify", fd, events))
        if isinstance(fd, Plug):
            self.plugs[fd] = events
        else:
            self.real.modify(fd, events)

    def unregister(self, fd):
        self.log.append(("unregister", fd))
        if isinstance(fd, Plug):
            del self.plugs[fd]
        else:
            self.real.unregister(fd)

    def poll(self, timeout):
        self.log.append(("poll", timeout))
        ready = [(plug, IOLoop.READ) for plug in self.ready if plug in self.plugs]
        return ready + self.real.poll(0 if ready else min(timeout, 3600))

    def close(self):
        self.closed = True
        self.real.close()


class ForeignPollerTest(Loops, unittest.TestCase):
    def setUp(self):
        self.poller = ForeignPoller()
        self.loop = PollIOLoop(impl=self.poller, make_current=False)
        self.addCleanup(self.loop.close)

    def test_p06_poll_always_gets_a_number(self):
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        os.write(writer, b"x")
        self.loop.add_handler(reader, lambda fd, events: self.loop.stop(), IOLoop.READ)
        self.loop.start()
        waits = [entry[1] for entry in self.poller.log if entry[0] == "poll"]
        self.assertEqual([3600], waits)
        self.loop.run_once(0.5)
        self.assertEqual(("poll", 0.5), self.poller.log[-1])

    def test_p07_an_object_without_a_number_goes_to_the_poller(self):
        plug, seen = Plug(), []
        self.loop.add_handler(plug, lambda fd, events: seen.append((fd, events)), IOLoop.READ)
        self.assertEqual(("register", plug, IOLoop.READ | IOLoop.ERROR), self.poller.log[-1])
        self.loop.update_handler(plug, IOLoop.WRITE)
        self.assertEqual(("modify", plug, IOLoop.WRITE | IOLoop.ERROR), self.poller.log[-1])
        self.poller.ready.append(plug)
        self.loop.run_once(0)
        self.assertEqual([(plug, IOLoop.READ)], seen)
        self.assertEqual({plug: IOLoop.WRITE}, dict(
            item for item in self.loop.watched().items() if item[0] is plug))
        self.loop.remove_handler(plug)
        self.assertEqual(("unregister", plug), self.poller.log[-1])
        self.loop.remove_handler(plug)
        self.loop.run_once(0)
        self.assertEqual(1, len(seen))

    def test_p07_error_is_asked_for_with_every_event(self):
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        self.loop.add_handler(reader, lambda fd, events: None, IOLoop.READ)
        self.assertEqual(("register", reader, IOLoop.READ | IOLoop.ERROR), self.poller.log[-1])
        self.assertTrue(all(entry[2] & IOLoop.ERROR for entry in self.poller.log
                            if entry[0] == "register"))

    def test_p07_closing_all(self):
        plug = Plug()
        self.loop.add_handler(plug, lambda fd, events: None, IOLoop.READ)
        self.loop.close(all_fds=True)
        self.assertEqual((True, True), (plug.closed, self.poller.closed))

    def test_p07_other_pollers_do_not_take_it(self):
        loop = PollIOLoop(make_current=False)
        self.addCleanup(loop.close)
        self.assertRaises(AttributeError, loop.add_handler, Plug(), self.fail, IOLoop.READ)


class HandlerErrorTest(unittest.TestCase):
    def test_p30_errors_of_handlers_are_those_of_the_system_too(self):
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        for name in available_pollers():
            loop = PollIOLoop(name, make_current=False)
            self.addCleanup(loop.close)
            with self.assertRaises(IOError) as caught:
                loop.update_handler(reader, IOLoop.READ)
            self.assertEqual(errno.ENOENT, caught.exception.errno)
            self.assertIsInstance(caught.exception, KeyError)
            self.assertIn("fd %d is not registered" % reader, str(caught.exception))
            loop.add_handler(reader, lambda fd, events: None, IOLoop.READ)
            with self.assertRaises(IOError) as caught:
                loop.add_handler(reader, lambda fd, events: None, IOLoop.READ)
            self.assertEqual(errno.EEXIST, caught.exception.errno)
            self.assertIsInstance(caught.exception, ValueError)


if __name__ == "__main__":
    unittest.main()
