"""Packages of the package index that were written for Tornado's callbacks, under the alias:

    python -m tests.interop.packages --python python2.7 --python python3.11 [NAME ...]

Each is installed with pip into a temporary folder (``--folder`` keeps it), without Tornado, and a
scenario in ``scenarios/`` uses it in a process whose ``import tornado`` is friendserve. Prints a
table; the status is 1 unless each ends as `PACKAGES` says. ``--original`` uses the Tornado that
each was written for instead, to see that a scenario holds there. Takes about four minutes.

Redis, PostgreSQL and RabbitMQ must be installed (the Debian packages redis-server, postgresql and
rabbitmq-server). circus and pyzmq need a Python for which there is a wheel of pyzmq below 20: 2.7
or 3.6. `python2.7` needs pip.
website/docs/reference/porting-packages.rst shows the results.
"""
from __future__ import absolute_import, division, print_function

import argparse
import collections
import os
import signal
import subprocess
import sys
import tempfile
import threading

from tests import ROOT, services

SCENARIOS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "scenarios")

#: How long a scenario may take, in seconds.
PATIENCE = 60

#: `tornado` is the release that it was written for, `needs` what else is installed, `fails` the
#: reasons for which it cannot run on some Pythons: a dictionary of the first digit of the version.
Package = collections.namedtuple("Package", "name version kind tornado needs scenario fails")


def _package(name, version, kind, tornado, scenario, needs=(), **fails):
    return Package(name, version, kind, tornado, list(needs), scenario,
                   dict((name[-1], reason) for name, reason in fails.items()))


PACKAGES = [
    _package("sockjs-tornado", "1.0.3", "server", "4.5.3", "sockjs"),
    _package("TornadIO2", "0.0.4", "server", "2.4.1", "tornadio2", ["simplejson"],
             on_3="it is in the syntax of Python 2"),
    _package("tornado-cors", "0.6.0", "server", "4.5.3", "tornado_cors"),
    _package("tornadorpc", "0.1.1", "server", "2.4.1", "tornadorpc", ["jsonrpclib"],
             on_3="it has a name that is a keyword today, async"),
    _package("msgpack-rpc-python", "0.4.1", "server and client", "4.5.3", "msgpackrpc",
             ["msgpack-python==0.5.6"]),
    _package("terminado", "0.5", "server", "4.5.3", "terminado", ["ptyprocess"]),
    _package("gunicorn", "19.9.0", "daemon", "4.5.3", "gunicorn", ["setuptools<45"]),
    _package("livereload", "2.2.2", "daemon", "4.5.3", "livereload"),
    _package("circus", "0.15.0", "daemon", "4.5.3", "circus", ["pyzmq<20", "psutil"]),
    _package("threadloop", "1.0.2", "daemon", "4.5.3", "threadloop", ["futures"]),
    _package("tornado-redis", "2.4.18", "driver: Redis", "3.2.2", "tornado_redis"),
    _package("toredis", "0.1.2", "driver: Redis", "3.2.2", "toredis", ["hiredis"],
             on_3="it uses a built-in name of Python 2, basestring"),
    _package("Momoko", "1.1.6", "driver: PostgreSQL", "3.2.2", "momoko", ["psycopg2-binary"]),
    _package("pika", "0.10.0", "driver: RabbitMQ", "4.5.3", "pika",
             on_3="it has a name that is a keyword today, async"),
    _package("pyzmq", "16.0.4", "driver: ZeroMQ", "4.5.3", "zmqstream"),
    _package("ws4py", "0.3.4", "client", "4.0.2", "ws4py"),
    _package("raven", "5.0.0", "client", "4.0.2", "raven",
             on_3="it has a name that is a keyword today, async"),
]


class Runner(object):
    def __init__(self, folder, original, environ):
        self._folder = folder
        self._original = original
        self._environ = environ

    def run(self, package, python):
        """Returns "passed", or the last lines of what the scenario printed."""
        version = subprocess.check_output([python, "-c", (
            "import sys; print('%d.%d' % sys.version_info[:2])")]).decode().strip()
        target = os.path.join(self._folder, "%s-%s-%s%s" % (
            package.name, package.version, version, "-original" if self._original else ""))
        if not os.path.isdir(target):
            failure = self._install(package, python, target)
            if failure:
                return version, "not installed: " + failure
        return version, self._run_scenario(package, python, target)

    def _install(self, package, python, target):
        wanted = ["%s==%s" % (package.name, package.version), "six"] + [
            name for name in package.needs if name != "futures" or "2.7" in target]
        if self._original:
            wanted += ["tornado==" + package.tornado, "certifi", "backports_abc", "singledispatch",
                       "backports.ssl_match_hostname"]
        return self._call([python, "-m", "pip", "install", "-q", "--no-deps", "--no-compile",
                           "--target", target] + wanted, 200)

    def _run_scenario(self, package, python, target):
        environ = dict(os.environ, PYTHONPATH=os.pathsep.join([target, SCENARIOS, ROOT]),
                       PYTHONDONTWRITEBYTECODE="1", **self._environ)
        scenario = os.path.join(SCENARIOS, "use_%s.py" % package.scenario)
        # addsitedir for the ".pth" files of namespace packages.
        program = "import logging, runpy, signal, site; signal.alarm(%d); " % PATIENCE
        program += "logging.basicConfig(); site.addsitedir(%r); " % target
        if not self._original:
            environ["ALIAS"] = package.tornado
            program += "import friendserve.porting; friendserve.porting.alias(version=%r); " % (
                package.tornado)
        program += "runpy.run_path(%r, run_name='__main__')" % scenario
        return self._call([python, "-c", program], PATIENCE + 10, environ) or "passed"

    def _call(self, command, patience, environ=None):
        """The last line that it printed, or None if it ended well."""
        process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, cwd=self._folder)
        limit = threading.Timer(patience, process.kill)
        limit.start()
        output = process.communicate()[0].decode("utf-8", "replace")
        limit.cancel()
        if os.environ.get("VERBOSE"):
            print(output)
        if process.returncode:
            lines = [line for line in output.splitlines() if line.strip()]
            return "%s (status %d)" % (lines[-1][:150] if lines else "", process.returncode)


class RabbitMQ(services.Service):
    name = "rabbitmq-server"

    def prepare(self):
        self._epmd_port = str(services.free_port())

    def command(self):
        return ["env", "HOME=" + self.folder, "ERL_EPMD_PORT=" + self._epmd_port,
                "RABBITMQ_NODENAME=test%d@localhost" % self.port,
                "RABBITMQ_NODE_IP_ADDRESS=127.0.0.1", "RABBITMQ_NODE_PORT=%d" % self.port,
                "RABBITMQ_DIST_PORT=%d" % services.free_port(),
                "RABBITMQ_MNESIA_BASE=" + self.folder, "RABBITMQ_LOG_BASE=" + self.folder,
                "RABBITMQ_ENABLED_PLUGINS_FILE=" + os.path.join(self.folder, "plugins"),
                "/usr/lib/rabbitmq/bin/rabbitmq-server"]

    def stop(self, number=signal.SIGTERM):
        super(RabbitMQ, self).stop(number)
        # Erlang's name server, which the server starts.
        subprocess.call(["epmd", "-port", self._epmd_port, "-kill"], stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL)


def start_services(packages):
    """Start the servers that the packages need and that are installed. Returns the variables of the
    environment that tell the scenarios where they are."""
    environ = {}
    scenarios = [package.scenario for package in packages]
    if "momoko" in scenarios and services.PostgreSQL.program():
        server = services.shared(services.PostgreSQL)
        environ["POSTGRES_DSN"] = (
            "host=127.0.0.1 port=%d dbname=postgres user=friend password=p@ss/word" % server.port)
    if "pika" in scenarios and RabbitMQ.program():
        environ["RABBITMQ_PORT"] = str(services.shared(RabbitMQ).port)
    return environ


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--python", action="append", required=True)
    parser.add_argument("--folder")
    parser.add_argument("--original", action="store_true")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args(arguments)
    packages = [package for package in PACKAGES
                if not options.names or package.name in options.names]
    runner = Runner(options.folder or tempfile.mkdtemp(), options.original,
                    start_services(packages))
    good = True
    for package in packages:
        for python in options.python:
            version, result = runner.run(package, python)
            expected = package.fails.get(version[0])
            if expected and result != "passed":
                result = "cannot: %s (%s)" % (expected, result)
            print("%-20s %-8s %-20s %-5s %s" % (
                package.name, package.version, package.kind, version, result))
            sys.stdout.flush()
            good = good and (result == "passed") != bool(expected)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
