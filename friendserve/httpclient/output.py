"""What ``python -m friendserve.httpclient`` writes: responses, and a line of progress."""
from __future__ import absolute_import, division, print_function

import errno
import io
import os
import sys
import time

#: Seconds of a download after which its progress is shown, and between two updates of it.
_PATIENCE = 1.0
_INTERVAL = 0.2


class OutputError(Exception):
    """The response cannot be written. `is_closed` is true if whatever read it has ended, such as
    ``head`` in a pipe, which is not worth a message."""
    is_closed = False


class Output(object):
    """Writes one response as it arrives, to a file or to standard output.

    `options` are those of the command line. A file is made with the first byte of the response, so
    that a fetch that fails leaves an older file as it was.
    """
    def __init__(self, options, progress):
        self._options = options
        self._progress = progress
        self._out = None
        self._is_begun = False
        self._size = None       # the Content-Length
        self.error = None       # the OutputError that has ended the fetch

    def on_line(self, line):
        """Take a line of the head."""
        if self._options.print_headers:
            self._write(line.encode("latin-1") if not isinstance(line, bytes) else line)
        name, _, value = line.partition(":")
        if name.lower() == "content-length" and value.strip().isdigit():
            self._size = int(value)

    def on_data(self, data):
        """Take a piece of the body."""
        if not self._is_begun:
            self._is_begun = True
            if b"\0" in data[:1024] and self._options.output is None \
                    and self._options.print_body and sys.stdout.isatty():
                self._fail("this looks like binary data, which a terminal cannot show: use -o FILE,"
                           " or -o - to write it anyway")
        self._progress.add(len(data), self._size)
        if self._options.print_body:
            self._write(data)

    def _write(self, data):
        if self._out is None:
            self._open()
        try:
            self._out.write(data)
        except EnvironmentError as error:
            self._fail("cannot write: %s" % error.strerror, error)

    def _open(self):
        path = self._options.output
        if path in (None, "-"):
            self._out = getattr(sys.stdout, "buffer", sys.stdout)
            return
        try:
            self._out = io.open(path, "wb")
        except EnvironmentError as error:
            self._fail("cannot write %s: %s" % (path, error.strerror), error)

    def _fail(self, text, cause=None):
        self.error = OutputError(text)
        self.error.is_closed = getattr(cause, "errno", None) == errno.EPIPE
        raise self.error

    def close(self, succeeded):
        """End the output; an empty response that `succeeded` makes an empty file."""
        self._progress.clear()
        try:
            if succeeded and self._out is None and self._options.print_body:
                self._open()
            if self._out is not None:
                self._out.flush()
                if self._options.output not in (None, "-"):
                    self._out.close()
        except OutputError:
            pass
        except EnvironmentError as error:
            self.error = OutputError("cannot write: %s" % error.strerror)
            self.error.is_closed = error.errno == errno.EPIPE
        if self.error is not None and self.error.is_closed:
            # Or the interpreter complains of the same once more when it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


class Progress(object):
    """A line on a terminal about a download that takes longer than a second.

    `stream` is that of the terminal, or None to show nothing.
    """
    def __init__(self, stream, clock=time.time):
        self._stream = stream
        self._clock = clock
        self._began = self._next = None
        self._received = 0
        self._width = 0         # of the line that is shown

    def add(self, size, total):
        """Note that `size` bytes have arrived, of `total` or None if that is not known."""
        now = self._clock()
        if self._began is None:
            self._began, self._next = now, now + _PATIENCE
        self._received += size
        if self._stream is None or now < self._next:
            return
        self._next = now + _INTERVAL
        rate = self._received / max(now - self._began, 0.001)
        line = amount(self._received)
        if total:
            line += " of %s (%d %%)" % (amount(total), 100 * self._received // total)
        line += ", %s/s" % amount(rate)
        if total and rate and self._received < total:
            line += ", %s left" % duration((total - self._received) / rate)
        self._show(line)

    def clear(self):
        """Remove the line."""
        if self._width:
            self._show("")
            self._stream.write("\r")
            self._stream.flush()

    def _show(self, line):
        self._stream.write("\r" + line.ljust(self._width))
        self._stream.flush()
        self._width = len(line)


def amount(size):
    """A number of bytes as text, such as "12.3 MB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            break
        size /= 1000
    else:
        unit = "TB"
    return "%d B" % size if unit == "B" else "%.1f %s" % (size, unit)


def duration(seconds):
    """A number of seconds as text, such as "1:05:00" or "12 s"."""
    seconds = int(seconds + 0.5)
    if seconds < 60:
        return "%d s" % seconds
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return "%d:%02d:%02d" % (hours, minutes, seconds) if hours else "%d:%02d" % (minutes, seconds)
