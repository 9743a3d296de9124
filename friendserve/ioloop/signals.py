"""Signals on loops: the callbacks that wait for them, and the fd that wakes a loop for them.

The facts:

1. Python calls signal handlers in the main thread only, between two instructions. If a signal
   arrives just before a poll, its handler runs after it. So Python's C code also writes to the
   *wakeup fd*, if one is set, and the loop polls the other end of that pipe.
2. A process has one wakeup fd, and asyncio and Twisted read from theirs which signals arrived. To
   find out whether one is set, one must set another, and signals of that instant go astray.
3. An exception (KeyboardInterrupt, or that of any signal handler) may be raised between any two
   instructions, and then the fd that a call has just replaced is lost unless C code has kept it.
4. A forked child inherits the handlers. With a handler that only queues a callback for a loop of
   the parent, SIGTERM could not end it.

What follows: the wakeup fd is set while a loop is in `start`, and as long as a loop has signal
handlers, but not by `run_once`; one that another library has set stays. A handler called in a
process that it does not belong to makes way for the one before it.
"""
from __future__ import absolute_import, division, print_function

import functools
import os
import signal
import sys

from six.moves import map

from friendserve.stack_context import state, wrap

_set_wakeup_fd = signal.set_wakeup_fd
if sys.version_info >= (3, 7):
    # If the pipe is full, the loop is woken as well; the warning would be written to stderr once
    # for each signal.
    _set_wakeup_fd = functools.partial(_set_wakeup_fd, warn_on_full_buffer=False)

_SIGCHLD = getattr(signal, "SIGCHLD", None)
#: PyPy does not say so itself.
_NOT_HANDLED = frozenset(getattr(signal, name) for name in ("SIGKILL", "SIGSTOP")
                         if hasattr(signal, name))

_process = [os.getpid()]
_ours = set()       # fds that are set by us, or may have been
_held = []          # (owner, waker) of those wanted; the last one's fd is set
_retired = []       # the same, of loops that were closed outside the main thread


def hold_wakeup_fd(owner, waker, running):
    """Let signals write to `waker` until `release_wakeup_fd(owner)`, which is also needed if this
    raises. `running`: whether its loop is about to run, and goes before those that wait.

    Does nothing outside the main thread, or while another library's wakeup fd is set.
    """
    if _process[0] != os.getpid():
        # Loops of the parent are not woken by signals of this child.
        _process[0] = os.getpid()
        _held[:] = [held for held in _held
                    if getattr(held[0], "_process", _process[0]) == _process[0]]
        del _retired[:]
    entry = owner, waker
    _ours.add(waker.write_fileno())
    try:
        if _exchange(waker.write_fileno(), waker):
            _held.insert(len(_held) if running else 0, entry)
            _exchange(_held[-1][1].write_fileno())
            _close_retired()
    except ValueError:
        pass    # not the main thread
    except BaseException:
        if entry not in _held:
            _exchange(_held[-1][1].write_fileno() if _held else -1)
        raise


def release_wakeup_fd(owner):
    """Undo `hold_wakeup_fd`; harmless if it did nothing. Raises ValueError if this has to be
    done in the main thread."""
    for entry in _held:
        if entry[0] is owner:
            break
    else:
        return
    waker = entry[1]
    if entry is _held[-1] and _exchange(waker.write_fileno(), waker):
        _exchange(_held[-2][1].write_fileno() if len(_held) > 1 else -1)
    _held.remove(entry)


def _exchange(fd, waker=None):
    """Set the wakeup fd; -1: none. Returns False if it is another library's, which stays. What
    signals of that instant wrote is passed on if `waker`, whose fd this is, is given. Raises
    ValueError outside the main thread."""
    found = []
    try:
        # Stored by C code: whatever is raised from here on, the fd before is known.
        found.extend(map(_set_wakeup_fd, (fd,)))
        if found[0] == -1 or found[0] in _ours or not _put_back(found[0]):
            return True
        if waker is not None:
            _pass_on(waker, found[0])
        return False
    except BaseException:
        if found:
            _put_back(found[0])
        raise


def _put_back(fd):
    """Set `fd` again. Returns False if it was closed without being reset."""
    try:
        signal.set_wakeup_fd(fd)
    except (ValueError, EnvironmentError):
        return False
    return True


def _pass_on(waker, fd):
    numbers = waker.consume()
    try:
        if numbers:
            os.write(fd, numbers)
    except EnvironmentError:
        pass    # full, or a socket of Windows
    waker.wake()


def _close_retired():
    while _retired:
        owner, waker = _retired[0]
        release_wakeup_fd(owner)
        _ours.discard(waker.write_fileno())
        waker.close()
        del _retired[:1]


class _Handler(object):
    """A callback of a loop that waits for a signal. To users an opaque handle."""

    __slots__ = ("signum", "loop", "_callback", "_turn")

    def __init__(self, signum, loop, callback):
        self.signum = signum
        self.loop = loop
        self._callback = callback
        self._turn = None

    def deliver(self):
        """Queue the callback, once a turn. Returns whether this is the process of the loop."""
        if self.loop._process not in (None, os.getpid()):
            return False
        turn = self.loop.turn
        if turn is None or turn is not self._turn:
            # What is queued in one turn runs in the next: however many signals arrive while the
            # loop is blocked, its queue does not grow.
            self.loop.add_callback_from_signal(self._callback)
            self._turn = turn
        return True


class _Signal(object):
    """A signal with handlers of loops, and the Python handler that it had before."""

    __slots__ = ("previous", "handlers", "passing")

    def __init__(self):
        self.previous = signal.SIG_DFL
        self.handlers = []
        self.passing = None     # the frame with which `previous` is being called


_signals = {}       # number -> _Signal


def watch_signal(loop, signum, callback, waker):
    """`IOLoop.add_signal_handler`. `waker` wakes the loop; None if it is woken in another way."""
    if not callable(callback):
        raise TypeError("a callback must be a callable, not %r" % (callback,))
    if signal.getsignal(signum) is None:
        raise RuntimeError("the handler of signal %d was not installed by Python, so it could not "
                           "be restored" % signum)
    handler = _Handler(signum, loop, wrap(callback) if state.contexts else callback)
    entry = _signals.setdefault(signum, _Signal())
    entry.handlers.append(handler)
    try:
        _install(signum, entry)
        if waker is not None and all(owner is not loop for owner, _ in _held):
            hold_wakeup_fd(loop, waker, False)
    except BaseException:
        unwatch_signal(handler)
        raise
    return handler


def _install(signum, entry):
    previous = signal.getsignal(signum)
    if previous is _deliver:
        return
    entry.previous = previous
    if signum in _NOT_HANDLED:
        raise ValueError("signal %d cannot be handled" % signum)
    try:
        signal.signal(signum, _deliver)
    except ValueError:
        raise ValueError("the first handler of signal %d must be added in the main thread" % signum)
    except (EnvironmentError, RuntimeError):    # RuntimeError  # version: py2
        raise ValueError("signal %d cannot be handled" % signum)


def unwatch_signal(handler):
    """`IOLoop.remove_signal_handler`."""
    entry = _signals.get(handler.signum)
    if entry is None or handler not in entry.handlers:
        return
    entry.handlers.remove(handler)
    if not entry.handlers and _restore(handler.signum, entry.previous):
        _signals.pop(handler.signum, None)
    if not _handlers_of(handler.loop):
        try:
            release_wakeup_fd(handler.loop)
        except ValueError:
            pass    # not the main thread; the fd is open as long as the loop


def _restore(signum, previous):
    """Install the handler `previous`, unless ours was replaced. Returns False if this has to be
    done in the main thread: `_deliver` does it at the next signal."""
    if signal.getsignal(signum) is _deliver:
        try:
            signal.signal(signum, previous)
        except ValueError:
            return False
    return True


def _handlers_of(loop):
    return [handler for entry in list(_signals.values()) for handler in entry.handlers
            if handler.loop is loop]


def _deliver(signum, frame):
    """The Python handler of all signals with handlers of loops."""
    _close_retired()
    entry = _signals.get(signum)
    previous = signal.SIG_DFL if entry is None else entry.previous
    delivered = [handler.deliver() for handler in ([] if entry is None else list(entry.handlers))]
    if any(delivered):
        if signum == _SIGCHLD and callable(previous):
            # Children belong to several parts of a program, which take no notice of each other.
            _pass_to(previous, entry, signum, frame)
        return
    # All handlers were removed in other threads or belong to the parent of this process, or another
    # library has restored ours. Unless one calls ours from its own, the signal is raised again.
    if signal.getsignal(signum) is not _deliver:
        return
    signal.signal(signum, previous)
    _signals.pop(signum, None)
    if callable(previous):
        previous(signum, frame)
    elif previous == signal.SIG_DFL:
        os.kill(os.getpid(), signum)


def _pass_to(previous, entry, signum, frame):
    # If ours was replaced by `previous`, and installed again since, that may call ours, with the
    # same frame. Another signal meanwhile has another one.
    outer = entry.passing
    if outer is None or frame not in (None, outer):
        entry.passing = frame
        try:
            previous(signum, frame)
        finally:
            entry.passing = outer


def forget_loop(loop, waker):
    """Remove the signal handlers of a loop, and close its waker, as soon as Python no longer writes
    to it. Called when the loop is closed."""
    for handler in _handlers_of(loop):
        unwatch_signal(handler)
    for owner, held in list(_held):
        if held is waker:
            try:
                release_wakeup_fd(owner)
            except ValueError:
                _retired.append((owner, waker))
                return
    _ours.discard(waker.write_fileno())
    waker.close()
