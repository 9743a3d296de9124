"""The command `friendserve`: serve, ctl and ping."""
from __future__ import absolute_import, division, print_function

import functools
import os
import signal
import sys

from friendserve import autoreload, version
from friendserve.httpserver import HTTPServer
from friendserve.ioloop import IOLoop, PeriodicCallback
from friendserve.log import app_log
from friendserve.netutil import LOCAL_PEERS, Certificates
from friendserve.serve.config import (
    FIXED, SettingsError, print_config, print_help, read_settings)
from friendserve.serve.ctl import run_ctl, run_ping
from friendserve.serve.loading import LoadError, load_application
from friendserve.serve.logs import Logs
from friendserve.serve.master import CANNOT_START, Master
from friendserve.serve.operators import Operators
from friendserve.serve.pages import Observer, is_path
from friendserve.serve.scoreboard import DRAINING, READY, Scoreboard
from friendserve.serve.sockets import Listeners, SocketsError, check_address
from friendserve.serve.worker import drop_privileges
from friendserve.web import Application
from friendserve.web.running import GRACE_IN_DEVELOPMENT

_USAGE = """Usage: friendserve COMMAND ...

  serve MODULE:APPLICATION   serve an application; serve --help lists the options
  ctl COMMAND                ask a running service, or tell it what to do
  ping URL                   check that a server answers, for health checks

friendserve %s"""

WRONG_ARGUMENTS = 2

#: Options that need a master.
_MASTERS = ("control", "pidfile", "preload", "reuse_port", "max_requests", "max_memory", "max_age")


def main(arguments=None):
    """Run the command line (None: that of this process), and return the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    commands = {"serve": serve, "ctl": run_ctl, "ping": run_ping}
    if arguments and arguments[0] in commands:
        return commands[arguments[0]](arguments[1:])
    is_help = arguments and arguments[0] in ("-h", "--help", "help", "--version")
    print(_USAGE % version, file=sys.stdout if is_help else sys.stderr)
    return 0 if is_help else WRONG_ARGUMENTS


def serve(arguments):
    """Serve an application, and return the exit status."""
    if set(arguments).intersection(("-h", "--help")):
        print_help()
        return 0
    _open_standard_streams()
    folder = os.getcwd()
    try:
        settings = read_settings(arguments, folder=folder)
        if settings.print_config:
            print_config(settings)
            return 0
        _enter(settings)
        logs = _make_logs(settings)
        if settings.check:
            return _check(settings)
        if not settings.application:
            raise LoadError("which application? Write MODULE:APPLICATION, such as "
                            "hello:application")
        listeners = Listeners(settings.bind, settings.backlog, settings.unix_mode,
                              settings.unix_group, settings.reuse_port)
        operators = Operators(settings, listeners)
        if settings.no_master:
            return _serve_alone(settings, listeners, operators, logs)
    except SettingsError as error:
        print("friendserve serve: %s" % error, file=sys.stderr)
        return WRONG_ARGUMENTS
    except (LoadError, SocketsError, EnvironmentError) as error:
        print("friendserve serve: %s" % error, file=sys.stderr)
        return CANNOT_START
    return Master(settings, listeners, functools.partial(make_server, logs),
                  reread=functools.partial(_reread, arguments, folder, logs), preload=_preload,
                  reopen=logs.reopen, operators=operators, folder=folder).run()


def make_server(logs, settings):
    """The HTTPServer for the application of these settings. Raises LoadError."""
    application = _load(settings)
    logs.access.attach(application)
    if isinstance(application, Application):
        if application.settings.get("autoreload") and not settings.autoreload:
            app_log.warning("The application's setting autoreload has no effect here; restart "
                            "with --autoreload for development")
        application.settings["autoreload"] = settings.autoreload
    trusted = settings.trust or LOCAL_PEERS
    return HTTPServer(
        application, ssl_options=_load_certificates(settings), xheaders=settings.xheaders,
        trusted=trusted if settings.xheaders else None,
        proxy_protocol=(settings.trust or True) if settings.proxy_protocol else None)


#: The application, once it was loaded: before the fork with --preload, else in the worker.
_loaded = []


def _load(settings):
    if not _loaded:
        _loaded.append(load_application(settings.application, settings.factory))
    return _loaded[0]


def _load_certificates(settings):
    """The Certificates, None without TLS. Raises LoadError."""
    if not settings.certfile:
        return None
    keys = settings.keyfile or [None] * len(settings.certfile)
    try:
        return Certificates(list(zip(settings.certfile, keys)), settings.client_ca,
                            settings.tls_min)
    except ValueError as error:
        raise LoadError(str(error))


def _make_logs(settings):
    try:
        return Logs(settings)
    except (EnvironmentError, TypeError, ValueError) as error:
        # A path with a null character is a TypeError or ValueError.
        raise LoadError("a log cannot be written: %s" % error)


def _open_standard_streams():
    """Make sure that file descriptors 0 to 2 are open: otherwise the next file or socket would
    become one of them, and receive what is printed."""
    while True:
        fd = os.open(os.devnull, os.O_RDWR)
        if fd > 2:
            os.close(fd)
            return


def _enter(settings):
    if settings.chdir:
        os.chdir(settings.chdir)
    if settings.umask is not None:
        os.umask(settings.umask)


def _check(settings):
    """Load all that the service needs, report what looks wrong, and return the exit status. Nothing
    listens, as the service may be running."""
    for address in settings.bind:
        check_address(address)
    application = load_application(settings.application, settings.factory)
    _load_certificates(settings)
    doubts = getattr(application, "doubts", [])
    for doubt in doubts:
        print("friendserve serve: %s" % doubt, file=sys.stderr)
    return CANNOT_START if doubts else 0


def _preload(settings):
    _load(settings)


def _reread(arguments, folder, logs, old):
    """The settings for a reload: new where a running master can change them, old where it
    cannot."""
    settings = read_settings(arguments, folder=folder)
    for name in FIXED:
        before = getattr(old, name)
        if getattr(settings, name) != before and (
                name != "metrics" or not is_path(before) or not is_path(settings.metrics)):
            app_log.warning("%s has changed: USR2 or a restart puts that into effect, a reload "
                            "does not", name)
            setattr(settings, name, before)
    logs.configure(settings)
    return settings


def _serve_alone(settings, listeners, operators, logs):
    """Serve in this process until SIGTERM or SIGINT."""
    for name in _MASTERS:
        if settings.origins.get(name) == "command line" and not settings.autoreload:
            raise SettingsError("--%s needs a master: leave out --no-master"
                                % name.replace("_", "-"))
    if settings.autoreload:
        autoreload.keep_command()
        for pattern in settings.watch + ([settings.config] if settings.config else []):
            autoreload.watch(pattern)
    drop_privileges(settings.user, settings.group)
    place = Scoreboard(1).begin(0, 0)
    place.start()
    observer = Observer(settings, place)
    with IOLoop(make_current=True) as loop:
        loop.install()
        try:
            server = make_server(logs, settings)
        except Exception:
            if not settings.autoreload:
                raise
            app_log.error("The application could not be loaded", exc_info=True)
            autoreload.wait_failed()
        observer.start(server, loop)
        server.add_sockets(listeners.of_slot(0))
        idle, grace = settings.drain_idle, settings.graceful_timeout
        if settings.autoreload:
            autoreload.start(loop)
            # A developer wants the prompt back.
            idle, grace = 0, min(grace, GRACE_IN_DEVELOPMENT)
        place.state = READY
        operators.start_pages(settings, place.board)
        operators.accept()
        PeriodicCallback(observer.sample, 1000, loop).start()

        def stop():
            if place.state == DRAINING:
                loop.stop()
                return
            place.state = DRAINING
            listeners.refuse()
            server.drain(loop.stop, idle=idle, grace=grace, has_successor=False)

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        if hasattr(signal, "SIGUSR1"):
            loop.add_signal_handler(signal.SIGUSR1, logs.reopen)
        app_log.info("Serving %s on %s", settings.application, ", ".join(listeners.names()))
        loop.start()
        server.stop()
    listeners.close(remove=True)
    return 0
