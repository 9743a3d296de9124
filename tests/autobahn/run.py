"""Run the Autobahn testsuite, about 500 cases for WebSockets, against our server and our client.

    python tests/autobahn/run.py                    # both
    python tests/autobahn/run.py server --cases '1.*,7.*' --folder /tmp/autobahn

It needs Python 2.7 (``python2.7`` or `--python`) and access to the package index: the testsuite is
installed into a virtual environment in `--folder`, is found there next time, and writes its reports
there. Prints a table of the results, and fails unless every case is OK or informational; the
testsuite calls cases without a single right answer informational.
"""
from __future__ import absolute_import, division, print_function

import argparse
import collections
import glob
import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)

from friendserve.ioloop import IOLoop  # noqa: E402
from friendserve.httpserver import HTTPServer  # noqa: E402
from friendserve.netutil import bind_sockets  # noqa: E402
from friendserve.web import Application  # noqa: E402
from friendserve.websocket import WebSocketHandler, websocket_connect  # noqa: E402

AGENT = "friendserve"

#: Messages of the cases 9.* have up to 16 MiB.
MAX_SIZE = 64 * 1024 * 1024

GOOD = ("OK", "INFORMATIONAL")

SECTIONS = {
    "1": "framing", "2": "pings and pongs", "3": "reserved bits", "4": "opcodes",
    "5": "fragmentation", "6": "UTF-8", "7": "closing", "9": "limits and speed", "10": "pieces",
    "12": "compression", "13": "compression, parameters"}


class Echo(WebSocketHandler):
    def get_compression_options(self):
        return {}

    def on_message(self, message):
        self.write_message(message, binary=isinstance(message, bytes))


def find_python():
    """The name of a working Python 2.7."""
    for name in ["python2.7"] + glob.glob(os.path.expanduser("~/.pyenv/versions/2.7.*/bin/python")):
        try:
            subprocess.check_output([name, "-c", "import ssl"], stderr=subprocess.STDOUT)
            return name
        except (OSError, subprocess.CalledProcessError):
            pass
    sys.exit("The Autobahn testsuite needs Python 2.7, which was not found: use --python")


def install(python, folder):
    """The path of the testsuite's program, installed if need be."""
    place = os.path.join(folder, "venv")
    program = os.path.join(place, "bin", "wstest")
    if not os.path.exists(program):
        tools = os.path.join(folder, "virtualenv")
        subprocess.check_call([python, "-m", "pip", "install", "-q", "--target", tools,
                               "virtualenv"])
        subprocess.check_call([python, "-m", "virtualenv", "-q", place],
                              env=dict(os.environ, PYTHONPATH=tools))
        subprocess.check_call([os.path.join(place, "bin", "python"), "-m", "pip", "install", "-q",
                               "autobahntestsuite"])
    return program


class Run(object):
    """One run of the testsuite, on the current loop, which it stops at the end."""

    def __init__(self, program, folder, name, cases):
        self.loop = IOLoop.current()
        self.report = os.path.join(folder, name)
        self.sockets = bind_sockets(0, "127.0.0.1")
        self.url = "ws://127.0.0.1:%d" % self.sockets[0].getsockname()[1]
        specification = {"outdir": self.report, "cases": cases, "exclude-cases": [],
                         "exclude-agent-cases": {}}
        specification.update(self.specify())
        path = os.path.join(folder, name + ".json")
        with open(path, "w") as output:
            json.dump(specification, output)
        self.log = open(os.path.join(folder, name + ".log"), "w")
        self.process = subprocess.Popen(
            [program, "-m", "fuzzing" + self.mode, "-s", path, "-u", "0"], cwd=folder,
            stdout=self.log, stderr=subprocess.STDOUT)

    def finish(self):
        """Wait for the end; return {case: behaviour}."""
        self.begin()
        try:
            self.loop.start()
        finally:
            if self.process.poll() is None:
                self.process.terminate()
            self.process.wait()
            self.log.close()
        with open(os.path.join(self.report, "index.json")) as source:
            results, = json.load(source).values()
        return dict((case, result["behavior"] if result["behaviorClose"] in GOOD
                     else result["behaviorClose"]) for case, result in results.items())


class ServerRun(Run):
    """The testsuite is the client."""
    mode = "client"

    def specify(self):
        return {"servers": [{"agent": AGENT, "url": self.url}]}

    def begin(self):
        server = HTTPServer(Application([("/.*", Echo)], websocket_max_message_size=MAX_SIZE,
                                        log_function=lambda handler: None))
        server.add_sockets(self.sockets)
        self.look()

    def look(self):
        if self.process.poll() is None:
            self.loop.call_later(0.1, self.look)
        else:
            self.loop.stop()


class ClientRun(Run):
    """The testsuite is the server; the URL of each connection names its case."""
    mode = "server"

    def specify(self):
        # The testsuite binds this port itself.
        for sock in self.sockets:
            sock.close()
        return {"url": self.url}

    def begin(self, attempts=100):
        def failed(error):
            if not attempts or self.process.poll() is not None:
                raise error
            self.loop.call_later(0.1, self.begin, attempts - 1)

        websocket_connect(self.url + "/getCaseCount", on_error=failed,
                          on_message_callback=self.counted)

    def counted(self, message):
        if message is not None:
            self.count = int(message)
            self.next_case(1)

    def next_case(self, number):
        connections = []

        def on_message(message):
            if message is None:
                self.next_case(number + 1)
            else:
                connections[0].write_message(message, binary=isinstance(message, bytes))

        if number > self.count:
            websocket_connect("%s/updateReports?agent=%s" % (self.url, AGENT),
                              on_message_callback=lambda message: self.loop.stop())
        else:
            websocket_connect(
                "%s/runCase?case=%d&agent=%s" % (self.url, number, AGENT), connections.append,
                on_message_callback=on_message, compression_options={},
                max_message_size=MAX_SIZE)


def show(name, behaviours):
    """Print the table of a run; return whether every case passed."""
    counts = collections.defaultdict(collections.Counter)
    for case, behaviour in behaviours.items():
        counts[case.partition(".")[0]][behaviour] += 1
        counts["all"][behaviour] += 1
    found = sorted(counts["all"], key=lambda one: (one not in GOOD, one == "INFORMATIONAL", one))
    print("\n%s\n%-4s %-26s" % (name, "", "") + " ".join("%13s" % one for one in found))
    for section in sorted(counts, key=lambda one: int(one) if one != "all" else 99):
        print("%-4s %-26s" % (section, SECTIONS.get(section, ""))
              + " ".join("%13d" % counts[section][one] for one in found))
    bad = sorted((case for case in behaviours if behaviours[case] not in GOOD),
                 key=lambda case: [int(part) for part in case.split(".")])
    for case in bad:
        print("case %s: %s" % (case, behaviours[case]))
    return not bad


def main():
    parser = argparse.ArgumentParser(description="Run the Autobahn testsuite.")
    parser.add_argument("role", nargs="?", choices=("server", "client"),
                        help="the side to test (default: both)")
    parser.add_argument("--cases", default="*", help="for instance '1.*,2.3' (default: all)")
    parser.add_argument("--folder", help="for the testsuite and its reports")
    parser.add_argument("--python", help="the path of a Python 2.7")
    options = parser.parse_args()
    folder = os.path.abspath(options.folder or tempfile.mkdtemp())
    if not os.path.isdir(folder):
        os.makedirs(folder)
    print("testsuite and reports: %s" % folder)
    program = install(options.python or find_python(), folder)
    good = True
    for role, run in (("server", ServerRun), ("client", ClientRun)):
        if options.role in (None, role):
            IOLoop().make_current()
            behaviours = run(program, folder, role, options.cases.split(",")).finish()
            good = show(role, behaviours) and good
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
