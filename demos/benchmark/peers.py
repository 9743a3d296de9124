"""The servers to measure: the list, which of them are installed, and how to run one."""
from __future__ import absolute_import, division, print_function

import collections
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from timeit import default_timer as clock

import machine

HERE = os.path.dirname(os.path.abspath(__file__))
CHECKOUT = os.path.dirname(os.path.dirname(HERE))
START_SECONDS = 20
STOP_SECONDS = 5

#: The Python of the peers on PyPy: one with their modules (six, tornado, aiohttp).
PYPY = os.environ.get("PYPY", "pypy3")


class Peer(collections.namedtuple("Peer", "name label modules command python server")):
    """A server to measure.

    `modules`: the modules it needs; the version of the first one is printed. `command`: one that
    prints its version, if it is not a Python package. `python`: the interpreter that runs it.
    `server`: the first part of its program's name, if not `name`.
    """

    def __new__(cls, name, label, modules, command=None, python=sys.executable, server=None):
        return super(Peer, cls).__new__(cls, name, label, modules, command, python, server or name)


PEERS = [
    Peer("friendserve", "friendserve", ["friendserve", "friendserve.web"]),
    Peer("falconbjoern", "falcon on bjoern", ["bjoern", "falcon"]),
    Peer("falconfastwsgi", "falcon on fastwsgi", ["fastwsgi", "falcon"]),
    Peer("bjoern", "bjoern, WSGI", ["bjoern"]),
    Peer("fastwsgi", "fastwsgi, WSGI", ["fastwsgi"]),
    Peer("fastpysgi", "fastpysgi, WSGI", ["fastpysgi"]),
    Peer("fastpysgiasgi", "fastpysgi, ASGI", ["fastpysgi"]),
    Peer("socketify", "socketify", ["socketify"]),
    Peer("robyn", "robyn", ["robyn"]),
    Peer("tremolo", "tremolo", ["tremolo"]),
    Peer("granian", "granian + starlette", ["granian", "starlette"]),
    Peer("granianasgi", "granian, ASGI", ["granian"]),
    Peer("aiohttp", "aiohttp", ["aiohttp"]),
    Peer("uvicorn", "uvicorn + starlette", ["uvicorn", "starlette", "uvloop", "httptools"]),
    Peer("uvicornasgi", "uvicorn, ASGI", ["uvicorn", "uvloop", "httptools"]),
    Peer("gunicorn", "gunicorn + starlette", ["gunicorn.workers.gasgi", "starlette", "uvloop"]),
    Peer("gunicornasgi", "gunicorn, ASGI", ["gunicorn.workers.gasgi", "uvloop"]),
    Peer("twisted", "twisted.web", ["twisted", "twisted.web.server"]),
    Peer("tornado", "Tornado", ["tornado", "tornado.web"]),
    Peer("flask", "Flask, gunicorn", ["flask", "gunicorn"]),
    Peer("django", "Django, gunicorn", ["django", "gunicorn"]),
    Peer("node", "Node", [], ["node", "--version"]),
    Peer("onasyncio", "friendserve on asyncio", ["friendserve", "friendserve.platform.asyncio"]),
    Peer("onuvloop", "friendserve on uvloop", ["friendserve", "uvloop"]),
    Peer("ontwisted", "friendserve on Twisted", ["friendserve", "friendserve.platform.twisted"]),
    Peer("coroutine", "friendserve, @gen.coroutine", ["friendserve", "friendserve.gen"]),
    Peer("asyncdef", "friendserve, async def", ["friendserve", "friendserve.gen"]),
    Peer("pure", "friendserve, pure", ["friendserve", "friendserve.websocket"]),
    Peer("pypyfriendserve", "friendserve, PyPy", ["friendserve", "friendserve.web"],
         python=PYPY, server="friendserve"),
    Peer("pypytornado", "Tornado, PyPy", ["tornado", "tornado.web"],
         python=PYPY, server="tornado"),
    Peer("pypyaiohttp", "aiohttp, PyPy", ["aiohttp"], python=PYPY, server="aiohttp"),
    Peer("websockets", "websockets, uvloop", ["websockets", "uvloop"]),
    Peer("picows", "picows, uvloop", ["picows", "uvloop"]),
    Peer("nginx", "nginx", [], ["nginx", "-v"]),
    Peer("bare", "bare epoll loop", []),
]

PROBE = """
import importlib, sys
[importlib.import_module(name) for name in sys.argv[1:]]
name = sys.argv[1].partition(".")[0]
try:
    from importlib.metadata import version
    print(version(name))
except Exception:
    first = sys.modules[name]
    print(getattr(first, "__version__", None) or getattr(first, "version", ""))
"""


def choose(kind, only=None):
    """The peers that have a server of `kind` ("hello", "callable", "cluster", "longpoll",
    "static", "websocket", "traffic", "metrics").

    `only`: a list of names, or None for all. Raises BenchmarkError for an unknown name.
    """
    known = [peer for peer in PEERS if os.path.exists(_program(peer, kind))]
    names = [peer.name for peer in known]
    for name in only or ():
        if name not in names:
            raise machine.BenchmarkError("no %s server is named %r; use %s"
                                         % (kind, name, ", ".join(names)))
    return [peer for peer in known if only is None or peer.name in only]


def comma_list(text):
    return [name.strip() for name in text.split(",") if name.strip()]


def _program(peer, kind):
    return os.path.join(HERE, "servers", "%s_%s.py" % (peer.server, kind))


def environment():
    """The environment of a server: this checkout's friendserve precedes an installed one."""
    environment = dict(os.environ)
    # Debian installs nginx there, and not every account has it in its path.
    environment["PATH"] = environment.get("PATH", os.defpath) + os.pathsep + "/usr/sbin"
    paths = [CHECKOUT] + comma_list(environment.get("PYTHONPATH", "").replace(os.pathsep, ","))
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    return environment


def probe(peer):
    """(version, None), or (None, why it cannot be measured)."""
    command = peer.command
    if peer.modules:
        command = [peer.python, "-c", PROBE] + peer.modules
    if not command:
        return "", None
    try:
        process = subprocess.Popen(command, cwd=HERE, env=environment(), close_fds=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   universal_newlines=True)
    except OSError as error:
        return None, "%s: %s" % (command[0], error.strerror)
    output, errors = process.communicate()
    if process.returncode:
        return None, last_line(errors)
    # `node --version` prints "v20.1.0", and `nginx -v`, on stderr, "nginx version: nginx/1.22.1".
    return re.split("[ /]", last_line(output or errors))[-1].lstrip("v"), None


def last_line(text):
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def free_port():
    """A port that was free a moment ago."""
    with contextlib.closing(socket.socket()) as probing:
        probing.bind(("127.0.0.1", 0))
        return probing.getsockname()[1]


class Server(object):
    """A server that runs in a separate process group, on one core, and answers on `port`.

    `arguments`: the arguments of its program after the port.
    """

    def __init__(self, peer, kind, core, version="", arguments=()):
        self.peer = peer
        self.label = peer.label
        self.cores = 1
        self.version = version
        self.port = free_port()
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            machine.on_core(core, [peer.python, _program(peer, kind), str(self.port)]
                            + list(arguments)),
            cwd=os.path.join(HERE, "servers"), env=environment(), preexec_fn=os.setsid,
            close_fds=True, stdout=self._errors, stderr=self._errors)
        self._wait_until_it_listens()

    def _wait_until_it_listens(self):
        deadline = clock() + START_SECONDS
        while clock() < deadline and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except EnvironmentError:
                time.sleep(0.05)
        self._errors.seek(0)
        said = self._errors.read().decode("utf-8", "replace")
        self.close()
        raise machine.BenchmarkError("the server did not start: " + last_line(said))

    def cpu_seconds(self):
        return machine.cpu_seconds(self._process.pid)

    def resident_bytes(self):
        return machine.resident_bytes(self._process.pid)

    def pause(self):
        """Stop its processes until `resume`: some servers use the processor even when idle."""
        os.killpg(self._process.pid, signal.SIGSTOP)

    def resume(self):
        os.killpg(self._process.pid, signal.SIGCONT)

    def close(self):
        """Ask the server to end; kill it and its children if it does not do so in time.

        Further calls do nothing.
        """
        if self._errors.closed:
            return
        if self._process.poll() is None:
            self.resume()
            self._process.terminate()
            deadline = clock() + STOP_SECONDS
            while clock() < deadline and self._process.poll() is None:
                time.sleep(0.02)
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except OSError:  # the usual case: all its processes have ended
            pass
        self._process.wait()
        self._errors.close()


def start(peer, kind, core, arguments=()):
    """A Server that listens. Raises BenchmarkError with the reason if it cannot be started."""
    version, reason = probe(peer)
    if reason is not None:
        raise machine.BenchmarkError(reason)
    return Server(peer, kind, core, version, arguments)


def end_on_sigterm():
    """Let SIGTERM end this process as an exception does, so that its servers do not outlive it."""
    def end(number, frame):
        # A second one must not interrupt the clean-up that the first one started.
        signal.signal(number, signal.SIG_IGN)
        sys.exit("ended by a signal")

    signal.signal(signal.SIGTERM, end)


@contextlib.contextmanager
def running(chosen, kind, core, arguments=()):
    """A context manager that runs a server for each peer of `chosen` that can be started. Its value
    is (servers, absent), where `absent` is a list of (label, reason).

    Raises BenchmarkError if no server is left.
    """
    servers, absent = [], []
    end_on_sigterm()
    try:
        for peer in chosen:
            try:
                servers.append(start(peer, kind, core, arguments))
            except machine.BenchmarkError as error:
                absent.append((peer.label, str(error)))
        if not servers:
            raise machine.BenchmarkError("nothing can be measured: " + "; ".join(
                "%s: %s" % pair for pair in absent))
        yield servers, absent
    finally:
        for server in servers:
            server.close()
