"""The logs of a service: what it reports about itself, and its access log.

A `Logs` belongs to a process and to those that it forks; a master configures it again when it
reloads, and all processes reopen their files when logs are rotated.
"""
from __future__ import absolute_import, division, print_function

import io
import logging

from friendserve.log import JSONFormatter, LogFormatter, app_log
from friendserve.serve.accesslog import AccessLog, FormatError, open_log
from friendserve.serve.config import SettingsError


class Logs(object):
    """Logging as the `settings` of a service say: `logging` is the level, `log_file` the path of
    the log (None: standard error), `access_log` and `log_format` are those of `AccessLog`. With the
    format "json", the log has lines of JSON too."""
    def __init__(self, settings):
        self.access = None
        self._handler = None
        self.configure(settings)

    def configure(self, settings):
        """Log as these settings say. If this raises SettingsError or EnvironmentError, logging
        stays as before."""
        level = None
        if settings.logging.lower() != "none":
            level = getattr(logging, settings.logging.upper(), None)
            if not isinstance(level, int):
                raise SettingsError("--logging must be debug, info, warning, error or none, not %r"
                                    % (settings.logging,))
        owner = None
        if settings.user is not None or settings.group is not None:
            owner = (-1 if settings.user is None else settings.user,
                     -1 if settings.group is None else settings.group)
        try:
            access = AccessLog(settings.access_log, settings.log_format, owner)
        except FormatError as error:
            raise SettingsError("--log-format: %s" % error)
        try:
            handler = None if level is None else _make_handler(settings, owner)
        except EnvironmentError:
            access.close()
            raise
        root = logging.getLogger()
        if self._handler is not None:
            root.removeHandler(self._handler)
            self._handler.close()
        if self.access is not None:
            self.access.close()
        self._handler, self.access = handler, access
        if handler is not None:
            root.addHandler(handler)
            root.setLevel(level)

    def reopen(self):
        """Open the files again, after they were renamed."""
        self.access.reopen()
        handler = self._handler
        if not isinstance(handler, _File):
            return
        try:
            stream = handler.open()
        except EnvironmentError as error:
            app_log.error("The log cannot be reopened: %s", error)
            return
        handler.acquire()
        try:
            handler.stream, old = stream, handler.stream
            old.close()
        finally:
            handler.release()


class _File(logging.StreamHandler):
    """Appends to a file that can be reopened."""
    def __init__(self, path, owner):
        self._path = path
        self._owner = owner
        logging.StreamHandler.__init__(self, self.open())

    def open(self):
        """The file, opened again."""
        return io.open(open_log(self._path, self._owner), "a", encoding="utf-8",
                       errors="backslashreplace")

    def close(self):
        self.stream.close()
        logging.StreamHandler.close(self)


def _make_handler(settings, owner):
    is_json = settings.log_format == "json"
    if settings.log_file:
        handler = _File(settings.log_file, owner)
        handler.setFormatter(JSONFormatter() if is_json else LogFormatter(color=False))
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(JSONFormatter() if is_json else LogFormatter())
    return handler
