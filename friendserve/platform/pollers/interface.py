"""The contracts of the parts that a loop needs from the system: pollers and wakers.

The docstrings of `Poller` and `Waker` are the contract, and one test suite holds every
implementation to it. Nothing here knows the loop.
"""

from __future__ import absolute_import, division, print_function

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

NONE, READ, PRI, WRITE, ERROR, RDHUP = 0x000, 0x001, 0x002, 0x004, 0x018, 0x2000

#: The longest single wait in seconds. A longer `poll` returns an empty list after this time,
#: because the system calls overflow at different lengths (the shortest: 2**31 milliseconds, about
#: 24 days).
MAX_WAIT = 86400.0

#: How many times `poll` may report a file that was closed before it was unregistered, and is still
#: open under another number or in another process. At 100, looking for such files costs 1/100 of a
#: system call for each event.
CHECK_INTERVAL = 100


class Poller(object):
    """Watches file descriptors and reports which are ready. It calls no callbacks.

    `fd` is always an int, the number of an open descriptor. `events` is READ, PRI, WRITE, ERROR and
    RDHUP in any combination, or NONE; other bits raise ValueError, as does PRI with kqueue. All
    pollers are level-triggered: an fd that is ready and has not been handled is reported again by
    the next `poll`.

    A number is registered from a successful `register` until `unregister`, whatever happens to its
    file. A `register` or `modify` that raised has had no effect.

    Unregister before closing. A file that was closed without `unregister` is no longer reported,
    and makes `poll` neither fail nor spin, even if it is still open under another number (dup) or
    in another process (fork). One exception: while the number of such a file is registered, epoll
    may report it up to CHECK_INTERVAL times. If the number is given to another file,

    - `register` forgets the old file and watches the new one;
    - `modify` raises EnvironmentError;
    - `unregister` works, and leaves the new file alone;
    - until then poll and select, which know only numbers, report the new file.

    Files are distinguished by fstat(2) where the kernel offers no check, see `common.identify`.

    A poller belongs to one thread and one process. In a child process only `unregister`, `close`
    and `after_fork` may be called, and none of them affects the parent's poller; `after_fork` makes
    it belong to the child. Descriptors that a poller opens for itself are close-on-exec.
    """

    def fileno(self):
        """The poller's own descriptor, readable while `poll(0)` would return something. It stays
        the same until `close`.

        Raises NotImplementedError for a poller that is not itself a descriptor (poll, select).
        """
        raise NotImplementedError("this poller has no file descriptor")

    def register(self, fd, events):
        """Start watching `fd`.

        Raises ValueError when `fd` is already registered and still has the same file (then it is an
        IOError too, with EEXIST), or cannot be watched by this kind of poller because its number is
        too high; EnvironmentError when it is not open, or is of a kind that the system cannot wait
        for.
        """
        raise NotImplementedError

    def modify(self, fd, events):
        """Watch `fd` for `events` instead of those given before.

        Raises KeyError when `fd` is not registered (it is an IOError too, with ENOENT),
        EnvironmentError when its file was closed.
        """
        raise NotImplementedError

    def unregister(self, fd):
        """Stop watching `fd`, whose file may already be closed. Raises KeyError when `fd` is not
        registered."""
        raise NotImplementedError

    def watched(self):
        """A new dict from each registered fd to its events, READ, PRI and WRITE combined, without
        files that `poll` has found closed."""
        raise NotImplementedError

    def poll(self, seconds):
        """Wait until something is ready and return a list of (fd, events), one per fd.

        `seconds` is a float; 0 or less does not wait, None waits without limit. The wait is rounded
        up to the resolution of the system, so rounding never ends it early, and is limited to
        MAX_WAIT. The list is empty on timeout, when a signal interrupted the wait (from Python 3.5
        on the wait is resumed after the signal's handler has run), and when the wait ended only
        because of a closed file.

        READ and WRITE mean that the next read or write does not block; that includes reads that
        find the end and operations that fail. PRI is what poll(2) calls POLLPRI: urgent data of a
        TCP connection (MSG_OOB), or an event of a device or of a file in /proc or /sys. ERROR is
        reported always, as soon as the system reports a failure:

        - a refused or otherwise failed connect is, for an fd registered for WRITE, ERROR and
          possibly READ and WRITE too; the error itself stays in the socket (SO_ERROR);
        - a peer that closed is at least READ for an fd registered for READ;
        - a hang-up on both sides (a pipe without a writer, a closed socket pair) that the system
          reports by itself is READ | ERROR.

        RDHUP is for a socket that is not read at the moment, and so is not registered for READ: its
        peer has disconnected, or shut down its sending side, although received data may be unread.
        epoll, kqueue, and poll on Linux report it; kqueue only once after each `register` or
        `modify`. select cannot, nor can poll on other systems: there it is accepted and never
        reported.

        With NONE or ERROR alone, epoll and poll report failures and hang-ups; kqueue and select
        cannot. So keep READ registered to notice a disconnect on every poller.
        """
        raise NotImplementedError

    def close(self):
        """Drop all registrations and close the poller's own descriptors. The watched files stay
        open. May be called again; no other method may be called afterwards."""
        raise NotImplementedError

    def after_fork(self):
        """In a child process, continue with descriptors that are not shared with the parent, and
        with the same registrations; files that were closed since the fork are not reported. The
        `fileno` of a kqueue changes.

        Raises EnvironmentError when out of fds; then it has had no effect.
        """
        # Nothing to do for a poller that knows only numbers.


class Waker(object):
    """Makes `poll` return from elsewhere: its `fileno()` is readable after `wake()`."""

    def fileno(self):
        """The descriptor to register for READ; -1 after `close`."""
        raise NotImplementedError

    def write_fileno(self):
        """The non-blocking descriptor that `wake` writes to, suitable for signal.set_wakeup_fd
        on POSIX; -1 after `close`."""
        raise NotImplementedError

    def wake(self):
        """Make `fileno()` readable. Never blocks; several calls may count as one.

        The only method that may be called from any thread and from signal handlers. Does
        nothing after `close`.
        """
        raise NotImplementedError

    def consume(self):
        """Undo all previous calls of `wake`. Never blocks. Does nothing after `close`.

        Returns what signal.set_wakeup_fd has written, as bytes; perhaps not all of it if the pipe
        was full."""
        raise NotImplementedError

    def close(self):
        """Close both ends. May be called again."""
        raise NotImplementedError

    def after_fork(self):
        """In a child process, continue with a pair that is not shared with the parent's waker, and
        has the same numbers. Raises EnvironmentError when out of fds."""
        raise NotImplementedError("this system has no fork")


def set_close_exec(fd):
    """Mark `fd` so that a program started by exec does not inherit it.

    Raises EnvironmentError when `fd` is not open, NotImplementedError without fcntl (on Windows use
    the one in platform.windows).
    """
    if fcntl is None:
        raise NotImplementedError("no fcntl here; use set_close_exec of platform.auto")
    fcntl.fcntl(fd, fcntl.F_SETFD, fcntl.fcntl(fd, fcntl.F_GETFD) | fcntl.FD_CLOEXEC)
