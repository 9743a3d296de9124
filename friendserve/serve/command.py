"""The command `friendserve`: serve, ctl and ping."""
from __future__ import absolute_import, division, print_function

import os
import signal
import sys

from friendserve import options, version
from friendserve.httpserver import HTTPServer
from friendserve.ioloop import IOLoop
from friendserve.log import app_log, enable_pretty_logging
from friendserve.netutil import LOCAL_PEERS, Certificates
from friendserve.serve.config import SettingsError, print_config, print_help, read_settings
from friendserve.serve.control import ControlServer, master_commands
from friendserve.serve.ctl import run_ctl, run_ping
from friendserve.serve.loading import LoadError, load_application
from friendserve.serve.master import CANNOT_START, Master
from friendserve.serve.pages import is_path, serve_operators
from friendserve.serve.sockets import Listeners, SocketsError

_USAGE = """Usage: friendserve COMMAND ...

  serve MODULE:APPLICATION   serve an application; serve --help lists the options
  ctl COMMAND                ask a running service, or tell it what to do
  ping URL                   whether a server answers, for health checks

friendserve %s"""

WRONG_ARGUMENTS = 2


def main(arguments=None):
    """Run the command line (None: that of this process); returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    commands = {"serve": serve, "ctl": run_ctl, "ping": run_ping}
    if arguments and arguments[0] in commands:
        return commands[arguments[0]](arguments[1:])
    is_help = arguments and arguments[0] in ("-h", "--help", "help", "--version")
    print(_USAGE % version, file=sys.stdout if is_help else sys.stderr)
    return 0 if is_help else WRONG_ARGUMENTS


def serve(arguments):
    """Serve an application; returns the exit status."""
    if set(arguments).intersection(("-h", "--help")):
        print_help()
        return 0
    try:
        settings = read_settings(arguments)
    except SettingsError as error:
        print("friendserve serve: %s" % error, file=sys.stderr)
        return WRONG_ARGUMENTS
    if settings.print_config:
        print_config(settings)
        return 0
    _set_up_logging(settings)
    try:
        if settings.chdir:
            os.chdir(settings.chdir)
        if settings.umask is not None:
            os.umask(settings.umask)
        if settings.check or settings.no_master:
            application = load_application(settings.application, settings.factory)
        if settings.check:
            return _check(application)
        if not settings.application:
            raise LoadError("which application? Write MODULE:APPLICATION, such as "
                            "hello:application")
        listeners = Listeners(settings.bind, settings.backlog, settings.unix_mode,
                              settings.unix_group, settings.reuse_port)
        if settings.no_master:
            return _serve_alone(settings, listeners)
    except (LoadError, SocketsError, EnvironmentError, ValueError) as error:
        print("friendserve serve: %s" % error, file=sys.stderr)
        return CANNOT_START
    return Master(settings, listeners, make_server, reread=lambda: _reread(arguments),
                  preload=_preload, on_start=_on_start).run()


def make_server(settings):
    """The HTTPServer for the application of these settings. Raises LoadError."""
    application = load_application(settings.application, settings.factory)
    tls = None
    if settings.certfile:
        keys = settings.keyfile or [None] * len(settings.certfile)
        tls = Certificates(list(zip(settings.certfile, keys)), settings.client_ca,
                           settings.tls_min)
    trusted = settings.trust or LOCAL_PEERS
    return HTTPServer(
        application, ssl_options=tls, xheaders=settings.xheaders,
        trusted=trusted if settings.xheaders else None,
        proxy_protocol=(settings.trust or True) if settings.proxy_protocol else None)


def _check(application):
    """Say what looks wrong about an application; returns the exit status."""
    doubts = getattr(application, "doubts", [])
    for doubt in doubts:
        print("friendserve serve: %s" % doubt, file=sys.stderr)
    return CANNOT_START if doubts else 0


def _set_up_logging(settings):
    parser = options.OptionParser()
    options.define_logging_options(parser)
    parser.logging = settings.logging
    parser.log_format = settings.log_format
    enable_pretty_logging(parser)


def _preload(settings):
    load_application(settings.application, settings.factory)


def _reread(arguments):
    settings = read_settings(arguments)
    _set_up_logging(settings)
    return settings


def _on_start(master, loop):
    settings = master.settings
    if settings.metrics and not is_path(settings.metrics):
        master.only_here += serve_operators(settings, master.board)
    if settings.control:
        path = settings.control
        path = path[5:] if path.startswith("unix:") else path
        master.only_here += ControlServer(path, master_commands(master, loop)).sockets


def _serve_alone(settings, listeners):
    """Serve in this process until SIGTERM or SIGINT."""
    with IOLoop(make_current=True) as loop:
        loop.install()
        server = make_server(settings)
        server.add_sockets(listeners.of_slot(0))
        stopping = []

        def stop():
            if stopping:
                loop.stop()
                return
            stopping.append(True)
            server.drain(loop.stop, idle=settings.drain_idle, grace=settings.graceful_timeout,
                         has_successor=False)

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        app_log.info("Serving %s on %s", settings.application, ", ".join(listeners.addresses))
        loop.start()
        server.stop()
    listeners.close()
    return 0
