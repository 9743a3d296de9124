"""Workers change, and nothing is lost: reload, recycling, another number, an upgrade."""
from __future__ import absolute_import, division, print_function

import os
import signal
import unittest

from tests import PATIENCE
from tests.servecase import APPLICATION, ServeCase, get, wait_until

BROKEN = "raise ValueError('not today')\n"


class ReloadTest(ServeCase, unittest.TestCase):
    def test_b133_nothing_is_lost_over_reloads(self):
        service = self.start().ready()
        load = self.load(service)
        for number in range(1, 5):
            service.signal(signal.SIGHUP)
            service.wait_for("Reloaded", number)
            load.more()
        load.stop()
        self.assertEqual([], load.failed)
        self.assertEqual(10, len(set(service.workers())))

    def test_b352_a_connection_without_a_request_yet_is_served(self):
        service = self.start(processes=1).ready()
        first = service.connect()
        self.addCleanup(first.close)
        # The worker accepts in order, so that it has the first connection too.
        old = int(service.get())
        service.signal(signal.SIGHUP)
        service.wait_for("Reloaded")
        self.assertEqual((False, str(old)), get(first))
        self.assertNotEqual(str(old), service.get())

    def test_b352_a_worker_told_from_outside_answers_too(self):
        service = self.start(processes=1).ready()
        first = service.connect()
        self.addCleanup(first.close)
        old = int(service.get())
        service.signal(signal.SIGTERM, old)
        service.ready(2)
        self.assertNotEqual(str(old), service.get())
        self.assertEqual((False, str(old)), get(first))

    def test_b353_the_old_code_stays_if_the_new_cannot_be_loaded(self):
        service = self.start().ready()
        before = set(service.workers())
        service.write(BROKEN)
        service.signal(signal.SIGHUP)
        service.wait_for("Not reloaded: worker")
        self.assertIn("not today", "".join(service.log))
        self.assertIn(int(service.get()), before)
        service.write(APPLICATION)
        service.signal(signal.SIGHUP)
        service.wait_for("Reloaded")
        self.assertNotIn(int(service.get()), before)

    def test_b353_a_configuration_that_cannot_be_read(self):
        service = self.start().ready()
        with open(os.path.join(service.folder, "settings"), "w") as target:
            target.write("{")
        service.signal(signal.SIGHUP)
        service.wait_for("Not reloaded: the new configuration is not used")
        self.assertIn(int(service.get()), service.workers())

    def test_b353_other_addresses_and_another_number(self):
        service = self.start(processes=1).ready()
        path = os.path.join(service.folder, "socket")
        service.configure(bind=service.settings["bind"] + ["unix:" + path], processes=3)
        service.signal(signal.SIGHUP)
        service.wait_for("Reloaded")
        wait_until(lambda: os.path.exists(path))
        self.assertEqual(4, len(service.workers()))

    def test_b354_ttin_and_ttou(self):
        service = self.start(processes=1).ready()
        load = self.load(service)
        service.signal(signal.SIGTTIN)
        service.ready(2)
        load.more()
        service.signal(signal.SIGTTOU)
        ended, = service.wait_for("has ended")
        self.assertIn("Worker %d " % service.workers()[1], ended)
        service.signal(signal.SIGTTOU)
        service.wait_for("1 workers from now on", 2)
        load.more()
        load.stop()
        self.assertEqual([], load.failed)

    def test_b355_recycling_loses_nothing(self):
        service = self.start(max_requests=100).ready()
        load = self.load(service)
        service.wait_for("is recycled: requests", 6)
        service.wait_for("has ended", 4)
        load.stop()
        self.assertEqual([], load.failed)

    def test_b355_recycling_by_memory_and_by_age(self):
        for limit, value in (("max_memory", 1), ("max_age", 0.5)):
            service = self.start(processes=1, **{limit: value}).ready()
            service.wait_for("is recycled: " + limit[4:], 1)
            service.ready(2)
            if limit == "max_memory":
                # Not as fast as it can: that would be all that the service does.
                self.assertEqual(1, len(service.logged("is recycled")))
                self.assertEqual(1, len(service.logged("the limit is too low")))

    def test_b356_an_upgrade_loses_nothing(self):
        service = self.start(pidfile=None).ready()
        service.configure(pidfile=os.path.join(service.folder, "pid"))
        old = service.master
        load = self.load(service)
        service.signal(signal.SIGUSR2)
        service.ready(4)
        new = service.master
        self.assertNotEqual(old, new)
        with open(os.path.join(service.folder, "pid")) as source:
            self.assertEqual("%d\n" % new, source.read())
        service.signal(signal.SIGWINCH, old)
        service.wait_for("has ended", 2)
        load.more()
        # Back, and again.
        service.signal(signal.SIGHUP, old)
        service.ready(6)
        service.signal(signal.SIGTERM, old)
        service.wait()
        load.more()
        load.stop()
        self.assertEqual([], load.failed)
        service.signal(signal.SIGTERM, new)
        service.wait_for("Stopping", 2)

    def test_b356_a_new_master_that_cannot_start_leaves_the_old_one(self):
        service = self.start(processes=1).ready()
        service.write(BROKEN)
        service.signal(signal.SIGUSR2)
        service.wait_for("This master stays")
        self.assertEqual(service.workers(), [int(service.get())])

    def test_b356_winch_without_an_upgrade_is_that_of_a_terminal(self):
        service = self.start(processes=1).ready()
        service.signal(signal.SIGWINCH)
        service.signal(signal.SIGTTIN)
        service.ready(2)
        self.assertEqual([], service.logged("drain"))

    def test_b367_preloaded_code_is_reloaded_by_a_new_master(self):
        application = APPLICATION.replace("import os", "import os; loaded = os.getpid()", 1) \
            .replace("str(os.getpid())", "str(loaded)")
        service = self.start(application, preload=True).ready()
        old = service.master
        self.assertEqual(str(old), service.get())
        load = self.load(service)
        service.signal(signal.SIGHUP)
        self.assertEqual(0, service.wait())
        new = service.master
        self.assertNotEqual(old, new)
        self.assertEqual(str(new), service.get())
        load.stop()
        self.assertEqual([], load.failed)

    @unittest.skipUnless(os.getuid() == 0, "only root may become another user")
    def test_b368_workers_of_another_user_have_only_its_groups(self):
        application = APPLICATION.replace(
            "str(os.getpid())", "repr((os.getuid(), os.getgid(), sorted(os.getgroups())))")
        # Preloaded, as that user may not be able to read this Python.
        service = self.start(application, processes=1, user=65534, preload=True).ready()
        self.assertEqual("(65534, 65534, [65534])", service.get())


class EndTest(ServeCase, unittest.TestCase):
    def test_b132_term_answers_what_was_accepted(self):
        service = self.start(processes=1).ready()
        connection = service.connect()
        self.addCleanup(connection.close)
        service.get()
        service.signal(signal.SIGTERM)
        service.wait_for("Stopping")
        self.assertFalse(get(connection)[0])
        self.assertEqual(0, service.wait())

    def test_b132_a_second_interrupt_ends_at_once(self):
        service = self.start(processes=1, graceful_timeout=1000, drain_idle=1000).ready()
        connection = service.connect()
        self.addCleanup(connection.close)
        service.get()
        service.signal(signal.SIGINT)
        service.wait_for("Stopping")
        service.signal(signal.SIGINT)
        self.assertEqual(0, service.wait(PATIENCE))

    def test_b357_an_application_that_cannot_be_loaded_ends_the_service(self):
        service = self.start(BROKEN)
        self.assertEqual(3, service.wait())
        self.assertIn("not today", "".join(service.log))

    def test_b357_an_address_that_cannot_be_used(self):
        service = self.start(bind=["127.0.0.1:http"])
        self.assertEqual(3, service.wait())
        self.assertIn("cannot listen on 127.0.0.1:http", "".join(service.log))

    def test_b357_workers_that_die_at_once_end_the_service(self):
        service = self.start("import os; os._exit(1)", processes=1)
        self.assertEqual(4, service.wait(2 * PATIENCE))
        self.assertEqual(5, len(service.logged("right after its start; the next one")))
