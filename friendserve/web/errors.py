"""Exceptions that a handler raises to end a request."""
from __future__ import absolute_import, division, print_function

import six

from friendserve.escape import native_str
from friendserve.protocol.http1 import REASONS


class HTTPError(Exception):
    """Ends the request with an error page of this status.

    `log_message` and its `args` (as for logging) are written to the log and never sent to the
    client. The keyword `reason` replaces the standard reason phrase. Error pages of applications
    may show `log_message`, so the framework's own errors format theirs at once.
    """
    def __init__(self, status_code=500, log_message=None, *args, **kwargs):
        if not isinstance(status_code, six.integer_types):
            raise TypeError("the status of an HTTPError must be an integer, such as 404, not %r"
                            % (status_code,))
        super(HTTPError, self).__init__(status_code, log_message)
        self.status_code = status_code
        self.log_message = log_message
        self.args = args
        self.reason = kwargs.get("reason")

    def __str__(self):
        text = "HTTP %d: %s" % (self.status_code, native_str(
            self.reason or REASONS.get(self.status_code, "Unknown")))
        if self.log_message:
            text += " (%s)" % native_str(self._format_message())
        return text

    def _format_message(self):
        # Only a message with arguments is a format; any other may contain "%".
        if not self.args:
            return self.log_message
        try:
            return self.log_message % self.args
        except (TypeError, ValueError):
            # Raising here would hide the original error.
            return "%r %% %r" % (self.log_message, self.args)

    def __reduce__(self):
        return _rebuild, (type(self), self.__dict__, self.args)


def _rebuild(cls, attributes, args):
    error = cls.__new__(cls)
    error.__dict__.update(attributes)
    error.args = args
    return error


class MissingArgumentError(HTTPError):
    """The request lacks an argument that has no default: status 400."""
    def __init__(self, arg_name):
        super(MissingArgumentError, self).__init__(400, "Missing argument %s" % arg_name)
        self.arg_name = arg_name


class Finish(Exception):
    """Ends the request and sends what has been written so far; nothing is logged. An argument is
    passed to `RequestHandler.finish`."""
