"""The options of `friendserve serve`: from the command line, the environment and a file."""
from __future__ import absolute_import, division, print_function

import ast
import collections
import difflib
import os
import re
import sys

import six

from friendserve.netutil import Networks
from friendserve.options import Error, OptionParser

try:
    import grp
    import pwd
except ImportError:
    # Windows, which has no such users.
    grp = pwd = None

#: An environment variable is this prefix and the name of the option in upper case.
PREFIX = "FRIENDSERVE_"


class SettingsError(Exception):
    """An option is wrong; the text says which, and what would be right."""


def _to_text(value):
    """The text of an option whose value may also be a number in a file."""
    return str(value) if isinstance(value, six.string_types) else repr(value)


#: (heading, [(name, default, type, metavar, help)]); a list as the default: the option may be given
#: several times, or once with commas.
OPTIONS = (
    ("Where to listen", (
        ("bind", ["127.0.0.1:8000"], str, "ADDRESS,...",
         "HOST:PORT, :PORT for every interface, unix:/PATH or fd:NUMBER"),
        ("unix_mode", "660", str, "OCTAL", "the permissions of Unix sockets"),
        ("unix_group", "", str, "GROUP", "the group of Unix sockets"),
        ("backlog", 1024, int, None, "the number of connections that may wait to be accepted"),
        ("reuse_port", False, bool, None, "a socket for each worker (SO_REUSEPORT)"),
    )),
    ("Processes", (
        ("processes", "1", _to_text, "NUMBER|auto",
         "the number of workers; auto: one for each CPU; WEB_CONCURRENCY also sets it"),
        ("no_master", False, bool, None, "one process, without supervision and reload"),
        ("preload", False, bool, None, "load the application before the workers are forked"),
        ("graceful_timeout", 30.0, float, "SECONDS",
         "how long requests in progress may take when a worker ends"),
        ("drain_idle", 5.0, float, "SECONDS", "how long idle connections may still send a request"),
        ("start_timeout", 60.0, float, "SECONDS",
         "how long a worker may take to get ready; 0: no limit"),
        ("stall_timeout", 60.0, float, "SECONDS",
         "replace a worker whose loop has not turned for this long; 0: never"),
        ("max_requests", 0, int, None, "replace a worker after this many requests; 0: never"),
        ("max_memory", 0, int, "MEGABYTES", "replace a worker that uses more; 0: never"),
        ("max_age", 0.0, float, "SECONDS", "replace a worker that is older; 0: never"),
    )),
    ("TLS", (
        ("certfile", [], str, "FILE,...", "certificates; several are chosen by name (SNI)"),
        ("keyfile", [], str, "FILE,...", "their keys, in the same order"),
        ("client_ca", "", str, "FILE", "require client certificates signed by these authorities"),
        ("tls_min", "1.2", str, "1.2|1.3", "the oldest TLS version to accept"),
    )),
    ("Behind a proxy", (
        ("xheaders", False, bool, None, "take the client's address from the proxy's headers"),
        ("trust", [], str, "ADDRESS|NETWORK|unix,...",
         "the proxies to trust; by default, those on loopback and Unix sockets"),
        ("proxy_protocol", False, bool, None,
         "connections begin with a PROXY header, version 1 or 2, from a trusted proxy"),
    )),
    ("Monitoring", (
        ("metrics", "", str, "PATH|HOST:PORT",
         "where to serve metrics, in the format of Prometheus"),
        ("health", "", str, "PATH", "serve PATH/live and PATH/ready, for health checks"),
        ("control", "", str, "unix:/PATH", "the socket for friendserve ctl"),
        ("logging", "info", str, "debug|info|warning|error|none", "the lowest level to log"),
        ("log_file", "", str, "FILE", "the log; by default, standard error"),
        ("access_log", "-", str, "FILE|-|none", "a line for each request; - is standard output"),
        ("log_format", "short", str, "short|combined|json|TEXT",
         "the form of the access log; TEXT has fields such as {status}; json is for the log too"),
    )),
    ("Process", (
        ("user", "", str, "NAME", "the user that workers run as"),
        ("group", "", str, "NAME", "the group that workers run as"),
        ("umask", "", str, "OCTAL", "the file mode mask"),
        ("chdir", "", str, "FOLDER", "the folder to run in, and to import modules from"),
        ("pidfile", "", str, "FILE", "the file for the process ID of the master"),
    )),
    ("Development", (
        ("autoreload", False, bool, None, "one process, which restarts when a file changes"),
        ("watch", [], str, "PATTERN,...", "further files to watch, such as data/*.csv"),
    )),
    ("The command", (
        ("factory", False, bool, None, "call the application without arguments to make it"),
        ("config", "", str, "FILE", "a file with lines like: processes = 4"),
        ("check", False, bool, None, "load the application, say what is wrong, and exit"),
        ("print_config", False, bool, None, "print each option and where it comes from, and exit"),
    )),
)


#: The options that stay as they are when a running service reads its configuration again.
FIXED = ("backlog", "unix_mode", "unix_group", "reuse_port", "no_master", "preload", "metrics",
         "control", "umask", "chdir", "pidfile")


class Settings(object):
    """The options as attributes. `origins` maps each name to where its value comes from;
    `application` is the argument, "module:name"."""


def read_settings(arguments, environ=os.environ, folder=""):
    """The Settings from command-line arguments, the environment and the file that they name, which
    is relative to `folder`. The command line overrides the environment, which overrides the file,
    which overrides the defaults. Raises SettingsError."""
    origins = {}
    source = ["default"]
    parser = OptionParser()
    for heading, options in OPTIONS:
        for name, default, kind, metavar, text in options:
            parser.define(name, default, kind, text, metavar, multiple=isinstance(default, list),
                          group=heading, callback=lambda value, name=name: origins.update(
                              {name: source[0]}))
    try:
        config = _find_config(arguments, environ)
        if config:
            config = source[0] = os.path.join(folder, config)
            _check_names(config, parser)
            _parse_file(config, parser)
        if "WEB_CONCURRENCY" in environ:
            source[0] = "WEB_CONCURRENCY"
            parser.processes = environ["WEB_CONCURRENCY"]
        source[0] = "environment"
        parser.parse_environment(PREFIX, environ)
        source[0] = "command line"
        rest = parser.parse_command_line(["friendserve serve"] + _joined(arguments, parser))
    except (Error, EnvironmentError, SyntaxError) as error:
        raise SettingsError(str(error))
    settings = _convert(parser, rest, origins)
    settings.config = config
    _check(settings)
    return settings


def print_help(file=None):
    """Print what the command does, and its options with their defaults."""
    file = sys.stdout if file is None else file
    print("Usage: friendserve serve [OPTIONS] MODULE:APPLICATION\n\nServe an Application, or a "
          "WSGI application. Every option is also a variable\nof the environment "
          "(FRIENDSERVE_BIND) and a line of --config FILE.", file=file)
    for heading, options in OPTIONS:
        parser = OptionParser()
        print("\n%s\n" % heading, file=file)
        for name, default, kind, metavar, text in options:
            parser.define(name, default, kind, text, metavar, multiple=isinstance(default, list),
                          group=heading)
            print(parser._options[name.replace("_", "-")].help_text(), file=file)
    print("\nSignals: HUP reloads code and configuration without losing a request; TERM and\n"
          "INT end gracefully, a second INT at once; TTIN adds a worker, TTOU removes one;\n"
          "USR2 starts a new master with the same sockets.\n\nExit status: 0 done; 2 wrong "
          "arguments; 3 the application or a socket could not\nbe set up; 4 workers died too fast.",
          file=file)


def print_config(settings, file=None):
    """Print each option with its value and its origin."""
    for _, options in OPTIONS:
        for name, default, _, _, _ in options:
            value = settings.given[name]
            print("%-18s %-28s # %s" % (
                name, ",".join(value) if isinstance(value, list) else value,
                settings.origins.get(name, "default")), file=sys.stdout if file is None else file)


def _joined(arguments, parser):
    """The arguments, with "--name value" as "--name=value", and those that are not options last."""
    options, rest = [], []
    arguments = list(arguments)
    while arguments:
        argument = arguments.pop(0)
        if argument == "--":
            rest.extend(arguments)
            break
        name = argument.lstrip("-").replace("_", "-")
        if not argument.startswith("-"):
            rest.append(argument)
        elif "=" not in argument and name in parser and arguments \
                and parser._options[name].type is not bool:
            options.append("%s=%s" % (argument, arguments.pop(0)))
        else:
            options.append(argument)
    return _merged(options, parser) + ["--"] + rest


def _merged(options, parser):
    """Options that may be given several times, as one with commas."""
    found, places = [], {}
    for option in options:
        name, equals, value = option.partition("=")
        name = name.lstrip("-").replace("_", "-")
        if equals and name in parser and parser._options[name].multiple:
            if name in places:
                found[places[name]] += "," + value
                continue
            places[name] = len(found)
        found.append(option)
    return found


def _find_config(arguments, environ):
    for number, argument in enumerate(arguments):
        if argument.startswith("--config="):
            return argument.partition("=")[2]
        if argument == "--config" and number + 1 < len(arguments):
            return arguments[number + 1]
    return environ.get(PREFIX + "CONFIG", "")


def _parse_file(path, parser):
    try:
        parser.parse_config_file(path)
    except (Error, EnvironmentError, SyntaxError):
        raise
    except (SystemExit, Exception) as error:
        # It may not end a master that reads it again.
        raise SettingsError("%s: %s: %s" % (path, type(error).__name__, error))


def _check_names(path, parser):
    """Raise SettingsError if a file sets a name that is almost that of an option. Other names may
    be the file's own variables."""
    with open(path, "rb") as source:
        tree = ast.parse(source.read(), path)
    for node in tree.body:
        for target in node.targets if isinstance(node, ast.Assign) else ():
            name = getattr(target, "id", None)
            if name is None or name in parser:
                continue
            close = difflib.get_close_matches(name, [
                option for _, options in OPTIONS for option, _, _, _, _ in options], 1, 0.75)
            if close:
                raise SettingsError("%s, line %d: there is no option %s; did you mean %s?"
                                    % (path, node.lineno, name, close[0]))


def _convert(parser, rest, origins):
    settings = Settings()
    settings.origins = origins
    settings.given = dict(parser.items())
    for _, options in OPTIONS:
        for name, default, _, _, _ in options:
            if settings.given[name] is None:
                settings.given[name] = default
    for name, value in settings.given.items():
        setattr(settings, name, value)
    if len(rest) > 1:
        raise SettingsError("only one application can be served, not %s" % " and ".join(rest))
    settings.application = rest[0] if rest else None
    # An address that is given twice is one socket.
    settings.bind = list(collections.OrderedDict.fromkeys(settings.bind))
    settings.processes = _processes(settings.processes)
    settings.unix_mode = _octal("unix-mode", settings.unix_mode)
    settings.umask = _octal("umask", settings.umask) if settings.umask else None
    settings.max_memory *= 1 << 20
    for name in ("max_requests", "max_memory", "max_age", "unix_group", "metrics", "health",
                 "control", "pidfile", "client_ca", "log_file"):
        setattr(settings, name, getattr(settings, name) or None)
    if settings.control and not settings.control.startswith("unix:"):
        settings.control = "unix:" + settings.control
    settings.user, settings.group = _user(settings.user, settings.group)
    settings.no_master = settings.no_master or settings.autoreload
    return settings


def _check(settings):
    """Raise SettingsError for values that are wrong or have no effect."""
    for name, value in settings.given.items():
        if isinstance(value, (int, float)) and not 0 <= value < float("inf"):
            raise SettingsError("--%s cannot be %s" % (name.replace("_", "-"), value))
    if settings.keyfile and len(settings.keyfile) != len(settings.certfile):
        raise SettingsError("--keyfile names %d files, and --certfile %d" % (
            len(settings.keyfile), len(settings.certfile)))
    if settings.tls_min not in ("1.2", "1.3"):
        raise SettingsError("--tls-min must be 1.2 or 1.3, not %s" % settings.tls_min)
    if settings.client_ca and not settings.certfile:
        raise SettingsError("--client-ca needs --certfile: without it there is no TLS")
    if settings.trust and not (settings.xheaders or settings.proxy_protocol):
        raise SettingsError("--trust needs --xheaders or --proxy-protocol")
    try:
        Networks(settings.trust)
    except ValueError as error:
        raise SettingsError("--trust: %s" % error)
    if settings.health and not settings.health.startswith("/"):
        raise SettingsError("--health must be a path such as /health, not %r" % settings.health)
    if settings.metrics and not settings.metrics.startswith("/") and ":" not in settings.metrics:
        raise SettingsError("--metrics must be a path such as /metrics, or an address such as "
                            "127.0.0.1:9100, not %r" % settings.metrics)
    if settings.watch and not settings.autoreload:
        raise SettingsError("--watch needs --autoreload")
    if settings.autoreload and any(address.startswith("fd:") for address in settings.bind):
        raise SettingsError("--autoreload opens its sockets itself: it cannot use fd:NUMBER")
    uid = os.getuid() if hasattr(os, "getuid") else 0
    if uid and settings.user not in (None, uid) or settings.user is None and uid \
            and settings.group not in (None, os.getgid()):
        raise SettingsError("only root may become another user or group")


def _processes(text):
    text = _to_text(text)
    if text == "auto":
        return None
    if not re.match("[0-9]{1,4}$", text) or not 1 <= int(text) <= 1000:
        raise SettingsError("--processes must be a number from 1 to 1000, or auto, not %r" % text)
    return int(text)


def _octal(name, text):
    try:
        return int(text, 8)
    except ValueError:
        raise SettingsError("--%s must be an octal number such as 660, not %r" % (name, text))


def _user(user, group):
    """(uid, gid), with None for one that is not to change."""
    uid = gid = None
    if (user or group) and pwd is None:
        raise SettingsError("this system has no --user and --group")
    try:
        if user:
            entry = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
            uid, gid = entry.pw_uid, entry.pw_gid
        if group:
            gid = int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise SettingsError("there is no such user or group: %s" % error)
    return uid, gid
