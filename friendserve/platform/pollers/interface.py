"""The contracts of what lies under the loop: pollers and wakers.

The docstrings of `Poller` and `Waker` are the contract; one suite of tests holds every
implementation to it. Nothing here knows the loop.
"""

from __future__ import absolute_import, division, print_function

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

NONE, READ, WRITE, ERROR = 0x000, 0x001, 0x004, 0x018

#: The longest single wait in seconds. A poller that is asked for a longer one returns an
#: empty list after this time, because the system calls overflow at different lengths (the
#: shortest: 2**31 milliseconds, about 24 days).
MAX_WAIT = 86400.0


class Poller(object):
    """Watches file descriptors and tells which are ready. It calls nobody back.

    `fd` is always an int, the number of an open descriptor. `events` is READ, WRITE and ERROR
    in any combination, or NONE; other bits raise ValueError. All pollers are level-triggered:
    what is ready and was not dealt with is reported by the next `poll` again.

    A number counts as registered from a successful `register` until `unregister`, whatever
    happens to the file behind it. Every method changes the poller's state only after the
    system call succeeded, so a call that raised has had no effect.

    A poller belongs to one thread and one process: after a fork the child makes its own.
    Descriptors that a poller opens for itself are close-on-exec.
    """

    def fileno(self):
        """The poller's own descriptor, readable while `poll(0)` would return something.

        Raises NotImplementedError for a poller that is not itself a descriptor (poll, select).
        """
        raise NotImplementedError("this poller has no file descriptor of its own")

    def register(self, fd, events):
        """Starts to watch `fd`.

        Raises ValueError when `fd` is registered already, or cannot be watched by this kind
        of poller because its number is too high; EnvironmentError when it is not open, or
        (by the system's choice) is of a kind that cannot be waited for.
        """
        raise NotImplementedError

    def modify(self, fd, events):
        """Watches `fd` for `events` instead of what was asked before.

        Raises KeyError when `fd` is not registered. Raises EnvironmentError when the file was
        closed meanwhile.
        """
        raise NotImplementedError

    def unregister(self, fd):
        """Stops to watch `fd`.

        Does not raise when the file was closed meanwhile, or closed and its number given to
        another file. Raises KeyError when `fd` is not registered.
        """
        raise NotImplementedError

    def poll(self, seconds):
        """Waits until something is ready and returns a list of (fd, events), one per fd.

        `seconds` is a float; 0 or less does not wait, None waits without limit. The wait is
        rounded up to the resolution of the system, so it never ends early by a rounding, and
        cut to MAX_WAIT. The list is empty on timeout and when a signal interrupted the wait
        (from Python 3.5 on the wait is resumed after the signal's handler has run).

        READ and WRITE mean that the next read or write does not block; that includes reads
        that find the end and operations that fail. Beyond what was asked for, ERROR is
        reported as soon as the system tells of a failure:

        - a refused or otherwise failed connect is ERROR, and maybe READ and WRITE as well, for
          who asked for WRITE; the error itself stays with the socket (SO_ERROR);
        - a peer that closed is at least READ for who asked for READ;
        - a hang-up on both sides (a pipe without writer, a closed socket pair) that the system
          reports unasked is READ | ERROR.

        With NONE or ERROR alone, epoll and poll report failures and hang-ups; kqueue and select
        have no way to and stay silent. So keep READ registered to notice on every poller that
        a peer went away.

        A file that was closed without `unregister` is not reported any more, and makes neither
        `poll` fail nor spin.
        """
        raise NotImplementedError

    def close(self):
        """Gives up all registrations and the poller's own descriptor. The watched files stay
        open. May be called again; nothing else may be called after it."""
        raise NotImplementedError


class Waker(object):
    """Makes `poll` return from elsewhere: its `fileno()` is readable after `wake()`."""

    def fileno(self):
        """The descriptor to register for READ; -1 after `close`."""
        raise NotImplementedError

    def write_fileno(self):
        """The non-blocking descriptor that `wake` writes to, fit for signal.set_wakeup_fd on
        POSIX; -1 after `close`."""
        raise NotImplementedError

    def wake(self):
        """Makes `fileno()` readable. Never blocks; many calls may count as one.

        The only method that may be called from any thread and from signal handlers. Does
        nothing after `close`.
        """
        raise NotImplementedError

    def consume(self):
        """Takes back all calls of `wake` made before. Never blocks. Nothing after `close`."""
        raise NotImplementedError

    def close(self):
        """Closes both ends. May be called again."""
        raise NotImplementedError


def set_close_exec(fd):
    """Marks `fd` so that a program started by exec does not inherit it.

    Raises EnvironmentError when `fd` is not open, NotImplementedError without fcntl (Windows:
    see platform.windows).
    """
    if fcntl is None:
        raise NotImplementedError("no fcntl here; platform.auto has the fitting set_close_exec")
    fcntl.fcntl(fd, fcntl.F_SETFD, fcntl.fcntl(fd, fcntl.F_GETFD) | fcntl.FD_CLOEXEC)
