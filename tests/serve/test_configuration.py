"""Options as an operator meets them: files elsewhere, what a reload changes, what means nothing."""
from __future__ import absolute_import, division, print_function

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import unittest

import six

from friendserve.serve.config import OPTIONS, SettingsError, read_settings
from tests import CA, CERT, CERTS, KEY, PATIENCE, ROOT
from tests.commandcase import CommandCase
from tests.servecase import get, wait_until
from tests.services import free_port

PROGRAM = """
import os
from friendserve.web import Application, RequestHandler

class Place(RequestHandler):
    def get(self):
        self.write("%s %d %d" % (os.getcwd(), os.getpid(), os.getuid()))

application = Application([("/", Place)])
"""


class MeaninglessTest(unittest.TestCase):
    def test_b436_options_that_cannot_mean_anything(self):
        for arguments, text in (
                ("--health=health", "--health must be a path such as /health, not 'health'"),
                ("--metrics=9100", "--metrics must be a path such as /metrics, or an address"),
                ("--client-ca=a", "--client-ca needs --certfile"),
                ("--tls-min=1.1", "--tls-min must be 1.2 or 1.3, not 1.1"),
                ("--trust=10.0.0.1", "--trust needs --xheaders or --proxy-protocol"),
                ("--trust=10.0.0.256 --xheaders", "--trust: a trusted network is an IP address"),
                ("--graceful-timeout=-1", "--graceful-timeout cannot be -1.0"),
                ("--stall-timeout=nan", "--stall-timeout cannot be nan"),
                ("--max-requests=-1", "--max-requests cannot be -1"),
                ("--watch=a", "--watch needs --autoreload")):
            with self.assertRaises(SettingsError) as caught:
                read_settings(arguments.split() + ["a:b"], {})
            self.assertIn(text, str(caught.exception))

    def test_b436_an_option_that_is_given_several_times(self):
        settings = read_settings(["--bind", ":1", "--certfile=a", "--bind=:2,:3", "--certfile", "b",
                                  "a:b"], {})
        self.assertEqual(([":1", ":2", ":3"], ["a", "b"]), (settings.bind, settings.certfile))

    def test_b436_each_option_in_all_three_places(self):
        values = {bool: "true", int: "7", float: "7"}
        texts = {"processes": "7", "unix_mode": "600", "umask": "27", "tls_min": "1.3",
                 "health": "/h", "metrics": "/m", "trust": "10.0.0.1", "user": "0", "group": "0",
                 "control": "unix:/c", "config": os.devnull}
        for _, options in OPTIONS:
            for name, default, kind, _, _ in options:
                text = texts.get(name, values.get(kind, "text"))
                more = {"trust": ["--xheaders"], "keyfile": ["--certfile=x"],
                        "client_ca": ["--certfile=x"], "watch": ["--autoreload"]}.get(name, [])
                flag = "--%s=%s" % (name.replace("_", "-"), text)
                by_flag = read_settings([flag, "a:b"] + more, {})
                by_environment = read_settings(
                    ["a:b"] + more, {"FRIENDSERVE_" + name.upper(): text})
                self.assertEqual(vars(by_flag).pop("origins").pop(name), "command line")
                self.assertEqual(by_environment.origins.pop(name), "environment")
                self.assertEqual(getattr(by_flag, name), getattr(by_environment, name))
                self.assertNotEqual(default, getattr(by_flag, name))


VALUES = ("()", "(1, 2)", "{}", "[[]]", "[None]", "3", "-1.5", "b'x'", "object()", "'\\0'",
          "u'\\xb2'", "'9' * 5000", "float('nan')", "10 ** 400")


class FileTest(CommandCase):
    def read(self, text):
        self.write(text, "conf")
        return read_settings(["--config", os.path.join(self.folder, "conf"), "a:b"], {})

    def test_b486_values_of_any_type_are_used_or_refused_in_words(self):
        for _, options in OPTIONS:
            for name, _, _, _, _ in options:
                for value in VALUES:
                    if name != "config":
                        try:
                            self.read("%s = %s\n" % (name, value))
                        except SettingsError:
                            pass
        self.assertEqual(4, self.read("processes = 4\n").processes)

    def test_b486_none_is_the_default(self):
        names = [name for _, options in OPTIONS for name, default, _, _, _ in options
                 if name != "config" and not isinstance(default, list)]
        found = self.read("".join("%s = None\n" % name for name in names))
        expected = read_settings(["a:b"], {})
        for name in names:
            self.assertEqual(getattr(expected, name), getattr(found, name), name)

    def test_b486_a_file_that_ends_the_program_is_refused(self):
        with six.assertRaisesRegex(self, SettingsError, "conf: SystemExit: not today"):
            self.read("import sys\nsys.exit('not today')\n")


class PlaceCase(CommandCase):
    """A service that was started in a folder, and changes to another one."""
    def setUp(self):
        super(PlaceCase, self).setUp()
        self.place = os.path.join(self.folder, "place")
        os.mkdir(self.place)
        self.write(PROGRAM, "place/hello.py")
        self.port = free_port()

    def serve(self, *arguments):
        path = os.path.join(self.folder, "output")
        with open(path, "wb") as log:
            self.process = self.start("serve", "--bind=127.0.0.1:%d" % self.port,
                                      *(arguments + ("hello:application",)), stdout=log, stderr=log)
        self.addCleanup(self.end, self.process)
        log = "place/log" if "--log-file=log" in arguments else "output"
        self.wait_for("is ready in slot|Serving ", name=log)

    def end(self, process):
        for found in re.findall("Master ([0-9]+) listens", self.said() + self.said("place/log")):
            try:
                os.kill(int(found), signal.SIGQUIT)
            except OSError:
                pass
        if process.poll() is None:
            process.send_signal(signal.SIGQUIT)
        process.wait()

    def said(self, name="output"):
        path = os.path.join(self.folder, name)
        if not os.path.exists(path):
            return ""
        with open(path) as log:
            return log.read()

    def wait_for(self, pattern, count=1, name="output"):
        def found():
            return len(re.findall(pattern, self.said(name))) >= count
        wait_until(found, PATIENCE, lambda: "%s in:\n%s" % (pattern, self.said(name)))

    def get(self, path="/"):
        connection = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        try:
            return get(connection, path)[1]
        finally:
            connection.close()


class ReloadTest(PlaceCase):
    def test_b435_files_are_found_after_a_change_of_folder(self):
        self.write("processes = 1\n", "conf")
        self.serve("--config=conf", "--chdir=place", "--log-file=log", "--access-log=access",
                   "--pidfile=pid")
        where, first, _ = self.get().split()
        self.assertEqual(os.path.realpath(self.place), where)
        # The configuration is below the first folder, and everything else below the second.
        self.write("processes = 2\n", "conf")
        os.rename(os.path.join(self.place, "access"), os.path.join(self.place, "access.1"))
        self.process.send_signal(signal.SIGHUP)
        self.wait_for("Reloaded", name="place/log")
        self.wait_for("is ready in slot", 3, name="place/log")
        self.get()
        self.wait_for("GET /", name="place/access")
        # And so it is in a new master.
        master = int(self.said("place/pid"))
        self.process.send_signal(signal.SIGUSR2)
        self.wait_for("The new master, process ", name="place/log")
        self.assertNotEqual(master, int(self.said("place/pid")))
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(0, self.process.wait())
        self.assertEqual(where, self.get().split()[0])
        os.kill(int(self.said("place/pid")), signal.SIGTERM)
        wait_until(lambda: not os.path.exists(os.path.join(self.place, "pid")))

    def test_b446_what_a_reload_does_not_change_is_named(self):
        self.write("max_age = 1000\n", "conf")
        self.serve("--config=conf", "--chdir=place")
        self.write("backlog = 5\npidfile = 'pid'\nmetrics = '127.0.0.1:1'\n", "conf")
        self.process.send_signal(signal.SIGHUP)
        self.wait_for("Reloaded")
        for name in ("backlog", "pidfile", "metrics"):
            self.wait_for("%s has changed: USR2 or a restart puts that into effect" % name)
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(0, self.process.wait())


class TLSTest(PlaceCase):
    def setUp(self):
        super(TLSTest, self).setUp()
        self.failed, self.names = [], []
        self.context = ssl.create_default_context(cafile=CA)
        self.context.check_hostname = False

    def link(self, certificate):
        """As programs that renew certificates do it."""
        path = os.path.join(self.folder, "crt")
        os.symlink(certificate, path + ".new")
        os.rename(path + ".new", path)

    def shake(self):
        """The name in the certificate of a new connection."""
        plain = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        connection = self.context.wrap_socket(plain)
        try:
            get(connection, close=True)
            return dict(pair for pairs in connection.getpeercert()["subject"] for pair in pairs)[
                "commonName"]
        finally:
            connection.close()
            plain.close()

    def keep_shaking(self):
        while not self.is_over:
            try:
                self.names.append(self.shake())
            except Exception as error:
                self.failed.append(repr(error))

    def test_b441_certificates_are_replaced_under_load_by_a_reload(self):
        self.link(CERT)
        self.serve("--chdir=place", "--processes=2", "--drain-idle=0.1",
                   "--certfile=" + os.path.join(self.folder, "crt"), "--keyfile=" + KEY)
        self.is_over = False
        threads = [threading.Thread(target=self.keep_shaking) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            wait_until(lambda: "localhost" in self.names, describe=lambda: str(self.failed))
            self.link(os.path.join(CERTS, "wronghost.crt"))
            self.process.send_signal(signal.SIGHUP)
            self.wait_for("Reloaded")
            # The old workers serve what they had accepted.
            wait_until(lambda: self.shake() == "elsewhere.test")
            # One that cannot be used leaves the old workers, and theirs.
            self.link(os.path.join(CERTS, "no-such.crt"))
            self.process.send_signal(signal.SIGHUP)
            self.wait_for("Not reloaded: worker")
            self.assertEqual("elsewhere.test", self.shake())
        finally:
            self.is_over = True
            for thread in threads:
                thread.join(PATIENCE)
        self.assertEqual([], self.failed)
        self.assertEqual({"localhost", "elsewhere.test"}, set(self.names))


class AloneTest(PlaceCase):
    def test_b443_one_process_answers_health_checks_and_metrics(self):
        self.serve("--no-master", "--chdir=place", "--health=/health", "--metrics=/metrics",
                   "--umask=27")
        self.assertEqual("ok\n", self.get("/health/live"))
        self.assertEqual("ok\n", self.get("/health/ready"))
        self.assertIn("friendserve_loop_callbacks_total", self.get("/metrics"))
        self.assertEqual(str(self.process.pid), self.get().split()[1])

    @unittest.skipUnless(os.getuid() == 0, "only root may become another user")
    def test_b443_one_process_becomes_the_user(self):
        os.chmod(self.folder, 0o755)
        self.serve("--no-master", "--chdir=place", "--user=65534")
        self.assertEqual("65534", self.get().split()[2])

    def test_b443_what_needs_a_master_is_refused(self):
        for option in ("--control=unix:/c", "--pidfile=p", "--max-requests=5", "--preload=true"):
            status, _, errors = self.run_it("serve", "--no-master", option, "hello:application",
                                            "--bind=127.0.0.1:%d" % self.port)
            self.assertEqual(2, status, errors)
            self.assertIn("%s needs a master" % option.partition("=")[0], errors)


class CheckTest(PlaceCase):
    def test_b436_check_says_what_is_wrong_with_sockets_and_certificates(self):
        for option, text in (("--bind=80", "cannot listen on 80: an address is HOST:PORT"),
                             ("--certfile=/no/such", "the certfile '/no/such'"),
                             ("--certfile=" + CERT, "does not belong|PEM|key")):
            status, _, errors = self.run_it("serve", "--chdir=place", "--check", option,
                                            "hello:application")
            self.assertEqual(3, status, errors)
            self.assertTrue(re.search(text, errors), errors)
            self.assertNotIn("Traceback", errors)

    def test_b436_what_cannot_be_opened_is_told_in_a_line(self):
        for option in ("--control=unix:/no/such/control", "--metrics=127.0.0.1:%d" % self.port,
                       "--pidfile=/no/such/pid", "--preload=true --factory"):
            status, _, errors = self.run_it("serve", "--bind=127.0.0.1:%d" % self.port,
                                            "hello:nothing", *option.split())
            self.assertEqual(3, status, errors)
            self.assertNotIn("Traceback", errors)
            self.assertLessEqual(len(errors.strip().split("\n")), 2)


class ProcessTest(PlaceCase):
    def test_b438_closed_standard_streams_get_no_other_data(self):
        # What is opened next would have their numbers.
        command = "exec %s -m friendserve serve --chdir=place --bind=127.0.0.1:%d --log-file=log " \
            "--no-master hello:application <&- >&- 2>&-" % (sys.executable, self.port)
        self.process = subprocess.Popen(["sh", "-c", command], cwd=self.folder,
                                        env=dict(os.environ, PYTHONPATH=ROOT))
        self.addCleanup(self.end, self.process)
        self.wait_for("Serving", name="place/log")
        self.get()
        self.get()
        self.assertNotIn("GET /", self.said("place/log"))
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(0, self.process.wait())

    def test_b437_a_service_imports_no_drivers_of_databases(self):
        text = ("import sys, friendserve.serve.command; print(sorted(set(sys.modules).intersection("
                "['sqlite3', 'pymysql', 'MySQLdb', 'psycopg2', 'psycopg', 'pycurl', 'pycares', "
                "'asyncio', 'twisted', 'friendserve.database'])))")
        out = subprocess.check_output([sys.executable, "-c", "from __future__ import "
                                       "print_function; " + text], cwd=ROOT)
        self.assertEqual(b"[]", out.strip())


if __name__ == "__main__":
    unittest.main()
