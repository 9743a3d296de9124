"""The framework's loggers, and the format of log lines on a terminal and in a file.

`access_log` gets one line per request, `app_log` the errors of application code, `gen_log` the
messages of the framework itself. All three are children of the logger "friendserve".

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
import weakref

import six

from friendserve.util import remember

__all__ = ["JSONFormatter", "LogFormatter", "access_log", "app_log", "define_logging_options",
           "enable_pretty_logging", "escape_controls", "gen_log", "set_defaults"]

access_log = logging.getLogger("friendserve.access")
app_log = logging.getLogger("friendserve.application")
gen_log = logging.getLogger("friendserve.general")

_CONTROL = re.compile(u"[\x00-\x1f\x7f-\x9f]")
_CONTROL_IN_LINES = re.compile(u"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
#: For byte strings on Python 2, where 0x80 to 0x9f may be part of a character.
_ASCII_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def escape_controls(text):
    """`text` with each control character, including line ends and tabs, written as ``\\x1b``.

    Apply it to text that clients control (a path, a User-Agent) before logging it, or they could
    end a line in the log, or send commands to a terminal. Accepts a native or unicode string and
    returns the same type.
    """
    pattern = _CONTROL if isinstance(text, six.text_type) else _ASCII_CONTROL
    return pattern.sub(_escape_one, text)


def _escape_one(match):
    return "\\x%02x" % ord(match.group())


def _to_text(value):
    """Text for any value in a log record; never raises."""
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

    A record that cannot be formatted produces a line that says so; no record raises, whatever
    bytes, text or exceptions it contains. Control characters are written as ``\\x1b``, and the
    second and later lines of a record are indented, so that every line without an indent begins a
    record. The result is always unicode.

    `fmt` may use ``%(color)s``, ``%(end_color)s`` and ``%(place)s`` in addition to the fields of
    `logging`. The place is the module and line ("main:5"), for modules of friendserve with the
    package they are in ("httpclient.fetch:120"). `style` is "%", "{" or "$" as in `logging`, but
    only "%" on Python 2. `colors` maps levels to ANSI colour numbers (0 black to 7 white). Colours
    are off if `color` is False, standard error is not a terminal that supports them, or NO_COLOR is
    set.
    """
    DEFAULT_FORMAT = ("%(color)s[%(levelname)1.1s %(asctime)s %(place)s]"
                      "%(end_color)s %(message)s")
    DEFAULT_DATE_FORMAT = "%y%m%d %H:%M:%S"
    DEFAULT_COLORS = {logging.DEBUG: 4, logging.INFO: 2, logging.WARNING: 3, logging.ERROR: 1,
                      logging.CRITICAL: 5}

    #: From a message that is bytes to text.
    show_bytes = staticmethod(_to_text)

    def __init__(self, fmt=DEFAULT_FORMAT, datefmt=DEFAULT_DATE_FORMAT, style="%", color=True,
                 colors=DEFAULT_COLORS):
        if six.PY2:  # version: py2
            if style != "%":
                raise ValueError("Python 2 supports only the style '%%', not %r" % (style,))
            if isinstance(datefmt, six.text_type):
                datefmt = datefmt.encode("utf-8")   # strftime accepts byte strings only
            logging.Formatter.__init__(self, _to_text(fmt), datefmt)
        else:
            logging.Formatter.__init__(self, fmt, datefmt, style)
        # Programs set both attributes to colour lines in a way of their own.
        self._colors = {}
        self._normal = u"\x1b[0m"
        if color and _stderr_has_colors():
            self._colors = dict((level, u"\x1b[3%dm" % number)
                                for level, number in colors.items())

    def format(self, record):
        """The text for `record`."""
        try:
            # `getMessage` would show bytes as a literal.
            if isinstance(record.msg, bytes) and not record.args:
                message = self.show_bytes(record.msg)
            else:
                message = _to_text(record.getMessage())
        except Exception as error:
            message = u"Bad message (%s): %s" % (_to_text(error), _describe(record))
        record.message = _CONTROL_IN_LINES.sub(_escape_one, message)
        record.asctime = _to_text(self.formatTime(record, self.datefmt))
        record.color = self._colors.get(record.levelno, u"")
        record.end_color = self._normal if record.color else u""
        name = _dotted_names.get(record.pathname)
        if name is None:
            name = remember(_dotted_names, 1000, record.pathname, _dotted_name(record.pathname))
        record.place = "%s:%s" % (name or record.module, record.lineno)
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
        # Lone surrogates, for undecodable bytes of file names, cannot be encoded.
        return text.encode("utf-8", "backslashreplace").decode("utf-8")

    def formatException(self, ei):
        """The traceback of the exception in `ei`, a tuple of ``sys.exc_info``."""
        try:
            return logging.Formatter.formatException(self, ei)
        except Exception:
            # For example, Python 2 cannot print a SyntaxError whose line is unicode.
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
    `exception` if there is one. Lines of the access log also have `method`, `uri`, `status`,
    `remote_ip`, `user_agent`, `bytes` (of the body, if known) and `milliseconds`.
    """
    def __init__(self):
        LogFormatter.__init__(self, "%(message)s", color=False)

    def format(self, record):
        """The line for `record`."""
        seconds = datetime.timedelta(seconds=record.created)
        fields = {
            "time": (datetime.datetime(1970, 1, 1) + seconds).isoformat()[:23] + "Z",
            "level": record.levelname.lower(), "logger": record.name}
        if record.exc_info:
            fields["exception"] = _to_text(self.formatException(record.exc_info))
        plain = _Plain(record)
        fields["message"] = LogFormatter.format(self, plain).replace(u"\n    ", u"\n")
        fields["place"] = _to_text(plain.place)
        for name, value in getattr(record, "fields", {}).items():
            # JSON has neither NaN nor infinities: the difference is not 0 for them.
            is_number = isinstance(value, (int, float)) and value - value == 0
            fields[name] = value if is_number or value is None else _to_text(value)
        return _to_text(json.dumps(fields, sort_keys=True))


class _Plain(object):
    """A record without its exception, which is in a separate field."""
    def __init__(self, record):
        self.__dict__.update(record.__dict__, exc_info=None, exc_text=None, stack_info=None)
        self.getMessage = record.getMessage


def _describe(record):
    try:
        return _to_text("%r %% %r" % (record.msg, record.args))
    except Exception:
        return u"it cannot be shown"


# The directory of the package, spelled as in the paths of its compiled code.
_PACKAGE = os.path.join(os.path.dirname(_describe.__code__.co_filename), "")


_dotted_names = {}      # path -> `_dotted_name`


def _dotted_name(path):
    """The name of one of our modules with the package it is in, since several are called "client";
    an empty string for other modules."""
    if not isinstance(path, str) or not path.startswith(_PACKAGE):
        return ""
    name = os.path.splitext(path[len(_PACKAGE):])[0].replace(os.sep, ".")
    return name[:-len(".__init__")] if name.endswith(".__init__") else name


def _stderr_has_colors():
    try:
        is_terminal = sys.stderr.isatty()
    except (AttributeError, ValueError):    # None or some other object; a closed file
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


_default_options = _Defaults


def set_defaults(options):
    """Make `enable_pretty_logging` use these options when it is called without any. Importing the
    module `options` passes those of the program; before that nothing can have set them, so they
    would equal the defaults here."""
    global _default_options
    _default_options = options


def enable_pretty_logging(options=None, logger=None):
    """Send the log through LogFormatter to standard error, or to rotating files.

    `logger` None means the root logger. `options` is an object with these attributes; None means
    the program's options (`friendserve.options`), or the defaults in parentheses:

    logging              "debug", "info", "warning", "error", or "none" to change nothing ("info")
    log_file_prefix      path of the file to write; None for no file (None)
    log_to_stderr        True or False; None: only if there is no other handler (None)
    log_rotate_mode      "size" or "time" ("size")
    log_file_max_size    bytes after which a new file is started, mode "size" (100,000,000)
    log_rotate_when      unit of the interval, as in TimedRotatingFileHandler ("midnight")
    log_rotate_interval  units after which a new file is started, mode "time" (1)
    log_file_num_backups files kept in addition to the current one (10)
    log_format           "text", or "json" for lines of JSONFormatter ("text")

    A further call replaces what earlier ones added to `logger`. Raises ValueError for an unknown
    level, mode or format.
    """
    if options is None:
        options = _default_options
    if logger is None:
        logger = logging.getLogger()
    if options.logging is None or options.logging.lower() == "none":
        return
    level = getattr(logging, options.logging.upper(), None)
    if not isinstance(level, int):
        raise ValueError("logging must be debug, info, warning, error or none, not %r"
                         % (options.logging,))
    # The options objects of older programs may lack it.
    form = getattr(options, "log_format", "text")
    if form not in ("text", "json"):
        raise ValueError("log_format must be 'text' or 'json', not %r" % (form,))
    old = [handler for handler in logger.handlers if handler in _made]
    new = []
    if options.log_file_prefix:
        new.append(_file_handler(options))
        new[0].setFormatter(JSONFormatter() if form == "json" else LogFormatter(color=False))
    if options.log_to_stderr or (
            options.log_to_stderr is None and not new and len(old) == len(logger.handlers)):
        new.append(logging.StreamHandler())
        new[-1].setFormatter(JSONFormatter() if form == "json" else LogFormatter())
    logger.setLevel(level)
    for handler in old:
        logger.removeHandler(handler)
        handler.close()
    for handler in new:
        _made.add(handler)
        logger.addHandler(handler)


#: The handlers that `enable_pretty_logging` added.
_made = weakref.WeakSet()


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
    """Define the options of `enable_pretty_logging` on an OptionParser (None: the program's, which
    exists once `friendserve.options` is imported), and call that function after parsing."""
    if options is None:
        options = _default_options
    options.define("logging", default="info", metavar="debug|info|warning|error|none",
                   help="the lowest level to log; none leaves logging unconfigured")
    options.define("log_to_stderr", type=bool,
                   help="log to standard error (default: only if nothing else is configured)")
    options.define("log_file_prefix", type=str, metavar="PATH",
                   help="the file to log to; older files get a number or a date appended")
    options.define("log_file_max_size", default=_Defaults.log_file_max_size, metavar="BYTES",
                   help="the size at which a new file is started")
    options.define("log_file_num_backups", default=_Defaults.log_file_num_backups,
                   metavar="NUMBER", help="how many older files to keep")
    options.define("log_rotate_mode", default=_Defaults.log_rotate_mode, metavar="size|time",
                   help="what starts a new file: a size or an interval")
    options.define("log_rotate_when", default=_Defaults.log_rotate_when,
                   metavar="S|M|H|D|W0-W6|midnight", help="the unit of the interval")
    options.define("log_rotate_interval", default=_Defaults.log_rotate_interval,
                   metavar="NUMBER", help="the number of units in the interval")
    options.define("log_format", default=_Defaults.log_format, metavar="text|json",
                   help="lines for people, or one JSON object per line for programs")
    options.add_parse_callback(lambda: enable_pretty_logging(options))
