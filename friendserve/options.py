"""Options of a program: defined where they are used, set on the command line, in a file or in the
environment.

    from friendserve.options import define, options, parse_command_line

    define("port", default=8888, help="where to listen")
    define("tags", type=str, multiple=True, metavar="TAG,TAG")
    parse_command_line(["program", "--port=9000", "--tags=a,b"])
    print(options.port, options.tags)       # 9000 ['a', 'b']

Dashes and underscores are equivalent: `--log-file-prefix` sets ``options.log_file_prefix``. If an
option is set in several ways the last call wins; the usual order is file, environment, command
line. The functions of this module work on its `options`; code that needs a separate set makes
another `OptionParser`.

Importing this module makes its `options` the defaults of `friendserve.log.enable_pretty_logging`.
"""
from __future__ import absolute_import, division, print_function

import datetime
import difflib
import numbers
import os
import re
import sys
import textwrap

import six

from friendserve import log
from friendserve.escape import native_str, to_unicode
from friendserve.log import define_logging_options

__all__ = ["Error", "OptionParser", "add_parse_callback", "define", "enable_pretty_logging",
           "options", "parse_command_line", "parse_config_file", "parse_environment", "print_help"]

#: The most numbers in a range, such as 1:1000, of a `multiple` integer option.
MAX_RANGE = 100000

_DATE_FORMATS = (
    "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d",
    "%Y%m%d %H:%M:%S", "%Y%m%d %H:%M", "%Y%m%d", "%H:%M:%S", "%H:%M", "%a %b %d %H:%M:%S %Y")
_DURATION = re.compile(r"\s*([-+]?\d+(?:\.\d*)?)\s*([a-z]*)\s*", re.I)
_UNITS = dict((name, unit) for unit, names in {
    "weeks": "w week weeks", "days": "d day days", "hours": "h hour hours",
    "minutes": "m min minute minutes", "seconds": "s sec second seconds",
    "milliseconds": "ms millisecond milliseconds",
    "microseconds": "us microsecond microseconds"}.items() for name in names.split())


class Error(Exception):
    """An option is unknown, is defined twice, or has an invalid value."""


def _program():
    return os.path.basename(sys.argv[0] or "program")


def _is_value(argument):
    """Whether an argument may be the value of the option before it."""
    return not argument.startswith("-") or argument[1:2].isdigit()


def _normalize(name):
    return name.replace("_", "-")


class OptionParser(object):
    """A set of options. Each is an attribute, and an item with its name as the key."""

    def __init__(self):
        # Not by assignment, which sets an option.
        self.__dict__["_options"] = {}
        self.__dict__["_parse_callbacks"] = []
        self.__dict__["_help_file"] = None
        self.define("help", type=bool, help="show this help", group="",
                    callback=self._on_help)

    # Values

    def __getattr__(self, name):
        option = self._options.get(_normalize(name))
        if option is None:
            raise AttributeError("there is no option %r" % name)
        return option.value

    def __setattr__(self, name, value):
        option = self._options.get(_normalize(name))
        if option is None:
            raise AttributeError("there is no option %r: define it first" % name)
        option.set(value)

    def __getitem__(self, name):
        return self._get(name).value

    def __setitem__(self, name, value):
        self._get(name).set(value)

    def __iter__(self):
        return (option.name for option in self._options.values())

    def __contains__(self, name):
        return _normalize(name) in self._options

    def _get(self, name):
        try:
            return self._options[_normalize(name)]
        except KeyError:
            raise KeyError("there is no option %r" % name)

    def items(self):
        """A list of (name, value)."""
        return [(option.name, option.value) for option in self._options.values()]

    def groups(self):
        """The set of group names."""
        return set(option.group for option in self._options.values())

    def group_dict(self, group):
        """{name: value} of one group, or of all options if `group` is empty."""
        return dict((option.name, option.value) for option in self._options.values()
                    if not group or option.group == group)

    def as_dict(self):
        """{name: value} of all options."""
        return self.group_dict(None)

    # Definitions

    def define(self, name, default=None, type=None, help=None, metavar=None, multiple=False,
               group=None, callback=None):
        """Define an option.

        `type` is str, int, float, bool, datetime or timedelta, or any function that converts text
        to the value or raises ValueError; None means the type of `default`. A `multiple` option is
        a list, separated by commas on the command line; if it contains integers, ``1:4`` means
        1,2,3,4. The help shows `metavar` in place of the value, and lists the options of a `group`
        together (None: those defined in one file). `callback(value)` is called whenever the option
        is set.

        Raises Error if an option of this name exists.
        """
        frame = sys._getframe(1)
        while frame.f_globals.get("__name__") in (__name__, log.__name__) \
                and frame.f_code.co_name != "<module>":
            frame = frame.f_back
        filename = frame.f_code.co_filename
        known = self._options.get(_normalize(name))
        if known is not None:
            raise Error("Option %r is already defined in %s: another definition is in %s"
                        % (name, known.filename, filename))
        if type is None:
            type = str if default is None or multiple else default.__class__
            if multiple and default:
                type = default[0].__class__
        if multiple and default is None:
            default = []
        self._options[_normalize(name)] = _Option(
            name, default, type, help, metavar, multiple,
            filename if group is None else group, callback, filename,
            frame.f_globals.get("__name__", ""))

    def add_parse_callback(self, callback):
        """Call `callback()` at the end of parsing (see `final`)."""
        self._parse_callbacks.append(callback)

    def run_parse_callbacks(self):
        """Call the callbacks passed to `add_parse_callback`."""
        for callback in self._parse_callbacks:
            callback()

    # Sources of values

    def parse_command_line(self, args=None, final=True):
        """Set options from `args` (None: ``sys.argv``), the first of which is the program.

        The form is ``--name=value``, or ``--name`` alone for a bool. Returns the other arguments,
        from the first that is not an option, or after ``--``. With `final` False the callbacks of
        `add_parse_callback` wait for another source. Raises Error for an unknown option or an
        invalid value. A program calls `parse_program`, which reports errors to its user.
        """
        return self._parse(sys.argv if args is None else args, final, False)

    def parse_program(self, arguments=True, final=True):
        """Set options from the command line of this program, for a person who typed it.

        In addition to `parse_command_line`, ``-h`` prints the help on standard output, and ``--name
        value`` is the same as ``--name=value``. After a mistake, it prints the usage and one line
        on standard error, and exits with status 2. Arguments that are not options are returned in a
        list, or count as a mistake if `arguments` is false.
        """
        self.__dict__["_help_file"] = sys.stdout
        try:
            remaining = self._parse(
                ["--help" if word == "-h" else word for word in sys.argv], final, True)
            if remaining and not arguments:
                raise Error("unexpected argument %s" % remaining[0])
        except Error as error:
            program = _program()
            sys.stderr.write("Usage: %s [OPTIONS]\n%s: %s\n" % (program, program, error))
            sys.exit(2)
        finally:
            self.__dict__["_help_file"] = None
        return remaining

    def _parse(self, args, final, spaced):
        """`spaced`: whether the value of an option may be the next argument."""
        remaining = []
        number = 0
        while number + 1 < len(args):
            number += 1
            argument = args[number]
            if not argument.startswith("-") or argument == "-":
                remaining = args[number:]
                break
            if argument == "--":
                remaining = args[number + 1:]
                break
            name, equals, value = argument.lstrip("-").partition("=")
            option = self._options.get(_normalize(name))
            if option is None:
                raise Error("unknown option %s%s" % (
                    argument.partition("=")[0], self._guess(name)))
            if not equals and option.type is not bool and spaced and number + 1 < len(args) \
                    and _is_value(args[number + 1]):
                number += 1
                equals, value = True, args[number]
            if not equals and option.type is not bool:
                raise Error("option --%s needs a value: --%s=%s" % (
                    option.flag, option.flag, option.placeholder))
            option.parse(value if equals else "true")
        self._end_parsing(final)
        return remaining

    def _guess(self, name):
        close = difflib.get_close_matches(_normalize(name), list(self._options), 1)
        return "; did you mean --%s?" % close[0] if close else "; --help lists all options"

    def parse_config_file(self, path, final=True):
        """Set options from a Python file: its global variables with the names of options.

        Text for an option of another type is parsed as on the command line. The file is executed,
        so it must be as trusted as the program. Other names are ignored. Raises Error for an
        invalid value.
        """
        with open(path, "rb") as source:
            code = compile(source.read(), path, "exec", 0, True)
        namespace = {"__file__": os.path.abspath(path)}
        six.exec_(code, namespace, namespace)
        for name in sorted(namespace):
            option = self._options.get(_normalize(name))
            if option is None:
                continue
            value = namespace[name]
            if option.multiple and not isinstance(value, (list,) + six.string_types):
                raise Error("%s: option %r must be a list or text, not %r"
                            % (path, name, value))
            if isinstance(value, six.string_types) and (option.multiple or option.type is not str):
                option.parse(value)
            else:
                option.set(value)
        self._end_parsing(final)

    def parse_environment(self, prefix, environ=None, final=True):
        """Set options from environment variables: with the prefix "APP_", the variable for
        ``log-file-prefix`` is ``APP_LOG_FILE_PREFIX``. Other variables with that prefix are
        ignored. Raises Error for an invalid value."""
        environ = os.environ if environ is None else environ
        for key, option in sorted(self._options.items()):
            value = environ.get(prefix + key.replace("-", "_").upper())
            if value is not None and key != "help":
                option.parse(value)
        self._end_parsing(final)

    def _end_parsing(self, final):
        if final:
            self.run_parse_callbacks()

    # Help

    def print_help(self, file=None):
        """Print what the program does, from its docstring, and all options to `file` (None:
        standard error): those of the program first, then those of each group or module."""
        file = sys.stderr if file is None else file
        print("Usage: %s [OPTIONS]" % _program(), file=file)
        about = (getattr(sys.modules.get("__main__"), "__doc__", None) or "").strip()
        if about:
            print("\n" + about.partition("\n\n")[0], file=file)
        print("\nOptions:\n", file=file)
        groups = {}
        for option in self._options.values():
            groups.setdefault(option.help_group(), []).append(option)
        for group in sorted(groups):
            if group:
                print("\n%s options:\n" % group, file=file)
            for option in sorted(groups[group], key=lambda option: option.name):
                print(option.help_text(), file=file)
        print(file=file)

    def _on_help(self, value):
        if value:
            self.print_help(self._help_file)
            sys.exit(0)

    def mockable(self):
        """An object whose attributes are the options, for `mock.patch.object`, which deletes an
        attribute to restore it."""
        return _Mockable(self)


class _Mockable(object):
    def __init__(self, options):
        self.__dict__["_options"] = options
        self.__dict__["_originals"] = {}

    def __getattr__(self, name):
        return self._options[name]

    def __setattr__(self, name, value):
        if name in self._originals:
            raise RuntimeError("option %r is already patched" % name)
        before = self._options[name]
        self._options[name] = value
        self._originals[name] = before

    def __delattr__(self, name):
        self._options[name] = self._originals.pop(name)


class _Unset(object):
    """The value of an option that was not set, not even to None."""


class _Option(object):
    def __init__(self, name, default, type, help, metavar, multiple, group, callback, filename,
                 module):
        self.name = name
        self.default = default
        self.type = six.text_type if six.PY2 and type is six.text_type else type
        self.help = help
        self.metavar = metavar
        self.multiple = multiple
        self.group = group
        self.callback = callback
        self.filename = filename
        self.module = module    # where it is defined
        self._value = _Unset

    @property
    def flag(self):
        return _normalize(self.name)

    @property
    def value(self):
        return self.default if self._value is _Unset else self._value

    def parse(self, text):
        """Set the option from text."""
        text = native_str(text)
        if self.multiple:
            values = []
            for part in text.split(","):
                values.extend(self._parse_range(part) if self._is_integer() else
                              [self._parse_one(part)])
            self._accept(values)
        else:
            self._accept(self._parse_one(text))

    def set(self, value):
        """Set the option to a value, which must be of its type."""
        values = [value]
        if self.multiple:
            if not isinstance(value, list):
                raise self._refusal(value, "a list")
            values = value
        for one in values:
            if one is not None and not self._fits(one):
                raise self._refusal(one, "of type " + self.type.__name__)
        self._accept(value)

    def _accept(self, value):
        self._value = value
        if self.callback is not None:
            self.callback(value)

    def _refusal(self, value, wanted):
        return Error("option %r must be %s, not %r" % (self.name, wanted, value))

    def _is_integer(self):
        return self.type in six.integer_types

    def _fits(self, value):
        if self.type in (str, six.text_type):
            return isinstance(value, six.string_types)
        if self._is_integer():
            # True and False are numbers too.
            return isinstance(value, numbers.Integral)
        if self.type is float:
            return isinstance(value, numbers.Real) and not isinstance(value, bool)
        return not isinstance(self.type, type) or isinstance(value, self.type)

    def _parse_range(self, text):
        first, colon, last = text.partition(":")
        first = self._parse_one(first)
        last = self._parse_one(last) if colon else first
        if last - first >= MAX_RANGE:
            raise Error("range %s of option %r has more than %d numbers"
                        % (text, self.name, MAX_RANGE))
        return range(first, last + 1)

    def _parse_one(self, text):
        parse = _PARSERS.get(self.type, self.type)
        try:
            return parse(text)
        except (ValueError, TypeError, OverflowError) as error:
            raise Error("option --%s cannot be %r: %s" % (self.flag, text, error))

    @property
    def placeholder(self):
        """What the help shows in place of the value."""
        if self.metavar:
            return self.metavar
        if self._is_integer() or self.type is float:
            return "NUMBER"
        return {datetime.datetime: "TIME", datetime.timedelta: "DURATION"}.get(self.type, "VALUE")

    def help_group(self):
        """The heading of this option in the help; "" for those of the program itself."""
        if self.group != self.filename:
            return self.group
        return "" if self.module == "__main__" else self.module

    def help_text(self):
        """The option's lines in the help."""
        left = "  --%s" % self.flag + (
            "" if self.type is bool and not self.metavar else "=" + self.placeholder)
        about = self.help or ""
        if self.default not in (None, "", [], False):
            about += " (default %s)" % (",".join(str(one) for one in self.default)
                                        if self.multiple else self.default)
        lines = textwrap.wrap(about.strip(), 79 - 35) or [""]
        if len(left) > 33:
            lines.insert(0, "")
        return "\n".join(("%-35s%s" % (left if number == 0 else "", line)).rstrip()
                         for number, line in enumerate(lines))


def _parse_bool(text):
    known = {"true": True, "t": True, "1": True, "yes": True, "on": True,
             "false": False, "f": False, "0": False, "no": False, "off": False}
    try:
        return known[text.strip().lower()]
    except KeyError:
        raise ValueError("expected true or false")


def _parse_datetime(text):
    for form in _DATE_FORMATS:
        try:
            return datetime.datetime.strptime(text.strip(), form)
        except ValueError:
            continue
    raise ValueError("expected a time like 2009-09-10 12:30:00")


def _parse_timedelta(text):
    total, position = datetime.timedelta(), 0
    while position < len(text) or not text:
        match = _DURATION.match(text, position)
        if match is None:
            raise ValueError("expected a duration like 1h 30m; the units are w, d, h, m, s, ms, us")
        number, unit = match.groups()
        unit = _UNITS.get(unit.lower() or "s")
        if unit is None:
            raise ValueError("unknown unit %r; the units of time are w, d, h, m, s, ms, us"
                             % match.group(2))
        total += datetime.timedelta(**{unit: float(number)})
        position = match.end()
    return total


_PARSERS = {
    bool: _parse_bool,
    datetime.datetime: _parse_datetime,
    datetime.timedelta: _parse_timedelta,
    six.text_type: to_unicode,
    str: native_str,
}

#: The options of the program.
options = OptionParser()


def define(name, default=None, type=None, help=None, metavar=None, multiple=False, group=None,
           callback=None):
    """`OptionParser.define` of the program's options."""
    return options.define(name, default, type, help, metavar, multiple, group, callback)


def parse_command_line(args=None, final=True, arguments=True):
    """Set the program's options: without `args` by `OptionParser.parse_program`, which ends the
    program if the command line is wrong; else by `OptionParser.parse_command_line`, which raises
    Error."""
    if args is None:
        return options.parse_program(arguments, final)
    return options.parse_command_line(args, final)


def parse_config_file(path, final=True):
    """`OptionParser.parse_config_file` of the program's options."""
    return options.parse_config_file(path, final)


def parse_environment(prefix, environ=None, final=True):
    """`OptionParser.parse_environment` of the program's options."""
    return options.parse_environment(prefix, environ, final)


def print_help(file=None):
    """`OptionParser.print_help` of the program's options."""
    return options.print_help(file)


def add_parse_callback(callback):
    """`OptionParser.add_parse_callback` of the program's options."""
    options.add_parse_callback(callback)


def enable_pretty_logging(options=options):
    """`friendserve.log.enable_pretty_logging`, under its name in Tornado 1.0."""
    log.enable_pretty_logging(options)


class _LogFormatter(log.LogFormatter):
    """`friendserve.log.LogFormatter` with the arguments of Tornado 2."""
    def __init__(self, color, *args, **kwargs):
        super(_LogFormatter, self).__init__(color=color, *args, **kwargs)


log.set_defaults(options)
define_logging_options(options)
