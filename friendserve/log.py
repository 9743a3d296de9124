"""The loggers of the framework, and how lines look on a terminal and in a file.

`access_log` gets one line a request, `app_log` what application code did wrong, `gen_log` what
the framework has to say itself. All three are below the logger "friendserve".

    import logging
    from friendserve.log import app_log, enable_pretty_logging

    enable_pretty_logging()
    app_log.info("ready")       # [I 090910 12:00:00 main:5] ready
"""
from __future__ import absolute_import, division, print_function

import datetime
import json
import logging
import logging.handlers
import os
import re
import sys
import traceback

import six

__all__ = ["JSONFormatter", "LogFormatter", "access_log", "app_log", "define_logging_options",
           "enable_pretty_logging", "escape_controls", "gen_log"]

access_log = logging.getLogger("friendserve.access")
app_log = logging.getLogger("friendserve.application")
gen_log = logging.getLogger("friendserve.general")

_CONTROL = re.compile(u"[\x00-\x1f\x7f-\x9f]")
_CONTROL_IN_LINES = re.compile(u"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
#: For byte strings on Python 2: there 0x80 to 0x9f may be inside a character.
_ASCII_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def escape_controls(text):
    """`text` with each control character, line ends and tabs too, written as ``\\x1b``.

    For what strangers chose (a path, a User-Agent) on its way into a log: no one may end a line
    there, or send commands to the terminal of whoever reads it. Takes and returns a native
    string or a unicode one.
    """
    pattern = _CONTROL if isinstance(text, six.text_type) else _ASCII_CONTROL
    return pattern.sub(_escape_one, text)


def _escape_one(match):
    return "\\x%02x" % ord(match.group())


def _to_text(value):
    """Text for whatever may be found in a log record; never raises."""
    if not isinstance(value, (bytes, six.text_type)):
        try:
            value = str(value)
        except Exception:
            return u"<%s that cannot be shown>" % type(value).__name__
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return value.decode("latin-1").encode("ascii", "backslashreplace").decode("ascii")
    return value


class LogFormatter(logging.Formatter):
    """Formats a log line with its level, time and place, in colour on a terminal.

    A record that cannot be formatted gives a line that says so; no record raises, whatever
    bytes, text or exceptions are in it. Control characters are written as ``\\x1b``, and the
    second and later lines of a record are indented, so that each line that is not begins a
    record. Always gives unicode.

    `fmt` may use ``%(color)s`` and ``%(end_color)s`` beside the fields of `logging`; `style` is
    "%", "{" or "$" as there, and only "%" on Python 2. `colors` gives the ANSI number of a colour
    (0 black to 7 white) by level. `color` False takes the colours away; they are also absent
    where the standard error stream is no terminal that knows them, or NO_COLOR is set.
    """
    DEFAULT_FORMAT = ("%(color)s[%(levelname)1.1s %(asctime)s %(module)s:%(lineno)d]"
                      "%(end_color)s %(message)s")
    DEFAULT_DATE_FORMAT = "%y%m%d %H:%M:%S"
    DEFAULT_COLORS = {logging.DEBUG: 4, logging.INFO: 2, logging.WARNING: 3, logging.ERROR: 1,
                      logging.CRITICAL: 5}

    def __init__(self, fmt=DEFAULT_FORMAT, datefmt=DEFAULT_DATE_FORMAT, style="%", color=True,
                 colors=DEFAULT_COLORS):
        if six.PY2:  # version: py2
            if style != "%":
                raise ValueError("only the style '%%' is known on Python 2, not %r" % (style,))
            if isinstance(datefmt, six.text_type):
                datefmt = datefmt.encode("utf-8")   # strftime takes no other text
            logging.Formatter.__init__(self, _to_text(fmt), datefmt)
        else:
            logging.Formatter.__init__(self, fmt, datefmt, style)
        self._colors = {}
        if color and _stderr_has_colors():
            self._colors = dict((level, u"\x1b[3%dm" % number)
                                for level, number in colors.items())

    def format(self, record):
        """The text for `record`."""
        try:
            # `getMessage` would show bytes as a literal.
            plain = isinstance(record.msg, bytes) and not record.args
            message = _to_text(record.msg if plain else record.getMessage())
        except Exception as error:
            message = u"Bad message (%s): %s" % (_to_text(error), _describe(record))
        record.message = _CONTROL_IN_LINES.sub(_escape_one, message)
        record.asctime = _to_text(self.formatTime(record, self.datefmt))
        record.color = self._colors.get(record.levelno, u"")
        record.end_color = u"\x1b[0m" if record.color else u""
        try:
            text = self._format_fields(record)
        except Exception as error:
            text = u"Bad log format (%s): %s" % (_to_text(error), record.message)
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        for extra in (record.exc_text, getattr(record, "stack_info", None)):
            if extra:
                text = text.rstrip() + u"\n" + _CONTROL_IN_LINES.sub(_escape_one, _to_text(extra))
        text = text.replace(u"\n", u"\n    ")
        # Lone surrogates, which stand for undecodable bytes of file names, fit into no file.
        return text.encode("utf-8", "backslashreplace").decode("utf-8")

    def formatException(self, ei):
        """The traceback of the exception that `ei`, from ``sys.exc_info``, holds."""
        try:
            return logging.Formatter.formatException(self, ei)
        except Exception:
            # Python 2 does not print a SyntaxError whose line is unicode, for example.
            kind, error, trace = ei
            lines = [_to_text(line) for line in traceback.format_tb(trace)]
            return u"".join(lines) + u"%s: %s" % (kind.__name__, _to_text(error))

    def _format_fields(self, record):
        if six.PY2:  # version: py2
            return self._fmt % dict((name, _to_text(value) if isinstance(value, bytes) else value)
                                    for name, value in record.__dict__.items())
        return self.formatMessage(record)


class JSONFormatter(LogFormatter):
    """Formats a record as one line of JSON, for programs that read logs.

    Every line has `time` (UTC, ISO 8601), `level`, `logger`, `place` and `message`, and
    `exception` where there is one. Those of the access log also have `method`, `uri`, `status`,
    `remote_ip`, `user_agent`, `bytes` (of the body, where it is known) and `milliseconds`.
    """
    def __init__(self):
        LogFormatter.__init__(self, "%(message)s", color=False)

    def format(self, record):
        """The line for `record`."""
        seconds = datetime.timedelta(seconds=record.created)
        fields = {
            "time": (datetime.datetime(1970, 1, 1) + seconds).isoformat()[:23] + "Z",
            "level": record.levelname.lower(), "logger": record.name,
            "place": "%s:%d" % (record.module, record.lineno)}
        if record.exc_info:
            fields["exception"] = _to_text(self.formatException(record.exc_info))
        line = LogFormatter.format(self, _Plain(record))
        fields["message"] = line.replace(u"\n    ", u"\n")
        for name, value in getattr(record, "fields", {}).items():
            fields[name] = value if isinstance(value, (int, float)) or value is None \
                else _to_text(value)
        return _to_text(json.dumps(fields, sort_keys=True))


class _Plain(object):
    """A record without its exception, which has a field of its own."""
    def __init__(self, record):
        self.__dict__.update(record.__dict__, exc_info=None, exc_text=None, stack_info=None)
        self.getMessage = record.getMessage


def _describe(record):
    try:
        return _to_text("%r %% %r" % (record.msg, record.args))
    except Exception:
        return u"it cannot be shown"


def _stderr_has_colors():
    try:
        is_terminal = sys.stderr.isatty()
    except (AttributeError, ValueError):    # it is None or some object; it was closed
        return False
    return (is_terminal and "NO_COLOR" not in os.environ and
            os.environ.get("TERM", "dumb") != "dumb")


class _Defaults(object):
    logging = "info"
    log_to_stderr = None
    log_file_prefix = None
    log_file_max_size = 100 * 1000 * 1000
    log_file_num_backups = 10
    log_rotate_mode = "size"
    log_rotate_when = "midnight"
    log_rotate_interval = 1
    log_format = "text"


#: What `enable_pretty_logging` takes when it is given no options. The module `options` puts
#: those of the command line here.
default_options = _Defaults


def enable_pretty_logging(options=None, logger=None):
    """Send the log through LogFormatter to standard error, or to files that rotate.

    `logger` is the root logger unless another is given. `options` is an object with these
    attributes (None: their defaults):

    logging              "debug", "info", "warning", "error", or "none" to change nothing ("info")
    log_file_prefix      path of the file to write; None for no file (None)
    log_to_stderr        True or False; None for "if there is no other handler" (None)
    log_rotate_mode      "size" or "time" ("size")
    log_file_max_size    bytes after which a file is done with, mode "size" (100,000,000)
    log_rotate_when      unit of the interval, as in TimedRotatingFileHandler ("midnight")
    log_rotate_interval  number of units after which a file is done with, mode "time" (1)
    log_file_num_backups files kept beside the one that is written (10)
    log_format           "text", or "json" for lines of JSONFormatter ("text")

    Raises ValueError for an unknown level, mode or format.
    """
    if options is None:
        options = default_options
    if logger is None:
        logger = logging.getLogger()
    if options.logging is None or options.logging.lower() == "none":
        return
    level = getattr(logging, options.logging.upper(), None)
    if not isinstance(level, int):
        raise ValueError("logging must be debug, info, warning, error or none, not %r"
                         % (options.logging,))
    # Options of older programs may not have it.
    form = getattr(options, "log_format", "text")
    if form not in ("text", "json"):
        raise ValueError("log_format must be 'text' or 'json', not %r" % (form,))
    logger.setLevel(level)
    if options.log_file_prefix:
        handler = _file_handler(options)
        handler.setFormatter(JSONFormatter() if form == "json" else LogFormatter(color=False))
        logger.addHandler(handler)
    if options.log_to_stderr or (options.log_to_stderr is None and not logger.handlers):
        handler = logging.StreamHandler()
        handler.setFormatter(JSONFormatter() if form == "json" else LogFormatter())
        logger.addHandler(handler)


def _file_handler(options):
    mode = options.log_rotate_mode
    if mode == "size":
        return logging.handlers.RotatingFileHandler(
            options.log_file_prefix, maxBytes=options.log_file_max_size,
            backupCount=options.log_file_num_backups, encoding="utf-8")
    if mode == "time":
        return logging.handlers.TimedRotatingFileHandler(
            options.log_file_prefix, when=options.log_rotate_when,
            interval=options.log_rotate_interval, backupCount=options.log_file_num_backups,
            encoding="utf-8")
    raise ValueError("log_rotate_mode must be 'size' or 'time', not %r" % (mode,))


def define_logging_options(options=None):
    """Define what `enable_pretty_logging` reads as options of an OptionParser (None: those of
    the program), and have it called when they have been parsed."""
    if options is None:
        options = default_options
    options.define("logging", default="info", metavar="debug|info|warning|error|none",
                   help="the least level that is logged; none leaves logging alone")
    options.define("log_to_stderr", type=bool,
                   help="log to standard error; without it, if nothing else is logged to")
    options.define("log_file_prefix", type=str, metavar="PATH",
                   help="the file to log to; the older ones get a number or a date behind it")
    options.define("log_file_max_size", default=_Defaults.log_file_max_size, metavar="BYTES",
                   help="the size after which a new file is begun")
    options.define("log_file_num_backups", default=_Defaults.log_file_num_backups,
                   metavar="NUMBER", help="how many older files are kept")
    options.define("log_rotate_mode", default=_Defaults.log_rotate_mode, metavar="size|time",
                   help="when a new file is begun: after a size or an interval")
    options.define("log_rotate_when", default=_Defaults.log_rotate_when,
                   metavar="S|M|H|D|W0-W6|midnight", help="the unit of the interval")
    options.define("log_rotate_interval", default=_Defaults.log_rotate_interval,
                   metavar="NUMBER", help="how many units make the interval")
    options.define("log_format", default=_Defaults.log_format, metavar="text|json",
                   help="lines for people, or one JSON object a line for programs")
    options.add_parse_callback(lambda: enable_pretty_logging(options))
