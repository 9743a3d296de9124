"""A poller over kqueue(2), of the BSDs and macOS. Importing it elsewhere raises ImportError.

The facts:

1. READ and WRITE are two filters, each added, deleted and reported separately. Deleting one that
   does not exist fails (ENOENT).
2. A filter belongs to a number. Closing the number removes its filters, even if the file is still
   open elsewhere (dup; and a kqueue is not inherited by fork). So a closed file is never reported,
   and the next file with its number has no filters.
3. fstat(2) gives all TCP sockets of most BSDs the same identity. Enabling a filter (EV_ENABLE) that
   is enabled changes nothing, and fails if it does not exist: it shows whether the number was
   closed.
4. Failures come only with a filter that is watched: EV_EOF, with the error in fflags.
5. A READ filter with NOTE_LOWAT is ready once that number of bytes is there, or the end. macOS
   limits the number to what the socket can hold, so a full one is ready.

What follows: the requested events are kept here, and changes are made filter by filter, the
additions first because only they can fail for an open file. Each poll joins the filters of a
number. Nothing has to be done for a file that was closed, except that its number can be registered
again. RDHUP is a READ filter that waits for more bytes than a socket can hold. It reports once
(EV_CLEAR), so that a full socket on macOS does not make the loop spin.

Given up: PRI, for which the standard library has no filter. With NONE and ERROR alone there is no
filter, so no failure is reported. `modify` of a TCP socket whose number was closed and reused may
go unnoticed; a check would cost a system call each time.
"""

from __future__ import absolute_import, division, print_function

import errno
import os
import select

import six

from friendserve.platform.pollers import interface
from friendserve.platform.pollers.common import (
    already_registered, check_events, check_identity, check_registered, identify, is_interrupt)
from friendserve.platform.pollers.interface import (
    ERROR, MAX_WAIT, NONE, PRI, RDHUP, READ, WRITE)

if not hasattr(select, "kqueue"):
    raise ImportError("this system has no kqueue")

_LISTED = READ | WRITE      # by `watched`

_READING = select.KQ_FILTER_READ
_WRITING = select.KQ_FILTER_WRITE
_EVENT_OF = {_READING: READ, _WRITING: WRITE}
_ADD = select.KQ_EV_ADD
_DELETE = select.KQ_EV_DELETE
_ENABLE = select.KQ_EV_ENABLE
_EOF = select.KQ_EV_EOF

# (flags, fflags, data) of a filter that is ready whenever something can be done, and of one that is
# ready only at the end.
_ALWAYS = _ADD, 0, 0
_AT_THE_END = _ADD | select.KQ_EV_CLEAR, select.KQ_NOTE_LOWAT, 0x7fffffff

# One wait reports at most this many filters; the next one reports the rest.
_BATCH = 1024

# Kqueues of the parent process. Their numbers are not open here, or belong to other files, which
# closing them would close; so would their destructors (until Python 3.12).
_inherited = []


def _create():
    kqueue = select.kqueue()
    if six.PY2:  # version: py2
        interface.set_close_exec(kqueue.fileno())
    return kqueue


class KqueuePoller(interface.Poller):
    """Poller over kqueue: the cost of a wait depends on what is ready, not on what is watched.

    READ and WRITE are one filter each, which exists exactly as long as the event is requested.
    RDHUP is the filter of READ with other parameters, if READ is not requested.
    """

    def __init__(self):
        self._kqueue = _create()
        self._process = os.getpid()
        self._events = {}
        self._files = {}    # fd -> the identity of its file

    def fileno(self):
        return self._kqueue.fileno()

    def register(self, fd, events):
        check_events(events)
        _refuse_priority(events)
        identity = identify(fd)     # raises if `fd` is closed: without filters no call would
        if fd in self._events and self._files[fd] == identity and self._has_filters(fd):
            raise already_registered(fd)
        self._change(fd, NONE, events)
        self._events[fd] = events
        self._files[fd] = identity

    def modify(self, fd, events):
        check_registered(fd, events, self._events)
        _refuse_priority(events)
        check_identity(fd, self._files[fd])
        self._change(fd, self._events[fd], events)
        self._events[fd] = events

    def unregister(self, fd):
        check_registered(fd, NONE, self._events)
        events = self._events.pop(fd)
        del self._files[fd]
        if os.getpid() != self._process:
            return
        for kq_filter in _filters(events):
            try:
                self._control(fd, kq_filter, _DELETE)
            except EnvironmentError:
                pass  # the kernel removed the filter when the file was closed

    def watched(self):
        return dict((fd, events & _LISTED) for fd, events in six.iteritems(self._events))

    def poll(self, seconds):
        if seconds is not None:
            seconds = max(0, min(seconds, MAX_WAIT))
        try:
            kevents = self._kqueue.control(None, _BATCH, seconds)
        except EnvironmentError as error:
            if is_interrupt(error):
                return []
            raise
        result = {}
        for kevent in kevents:
            events = _EVENT_OF[kevent.filter]
            if events == READ and not self._events.get(kevent.ident, READ) & READ:
                if not kevent.flags & _EOF:
                    continue
                events = RDHUP
            if kevent.flags & _EOF and (events == WRITE or kevent.fflags):
                # The reader has closed, or the socket has an error (in fflags); a refused connect
                # is both. The end of the data to read is not an error.
                events |= ERROR
            result[kevent.ident] = result.get(kevent.ident, NONE) | events
        return list(result.items())

    def close(self):
        if os.getpid() == self._process:
            self._kqueue.close()
        else:
            _inherited.append(self._kqueue)
        self._events = {}
        self._files = {}

    def after_fork(self):
        before = self._kqueue
        self._kqueue = _create()
        try:
            for fd, events in six.iteritems(self._events):
                try:
                    check_identity(fd, self._files[fd])
                    self._change(fd, NONE, events)
                except EnvironmentError as error:
                    if error.errno not in (errno.EBADF, errno.ENOENT):
                        raise
        except EnvironmentError:
            self._kqueue.close()
            self._kqueue = before
            raise
        _inherited.append(before)
        self._process = os.getpid()

    def _change(self, fd, old, new):
        """Turn the filters of `old` into those of `new`, or raise and leave those of `old`."""
        before, after = _filters(old), _filters(new)
        changed = [kq_filter for kq_filter in after
                   if after[kq_filter] != before.get(kq_filter)]
        for count, kq_filter in enumerate(changed):
            try:
                if kq_filter in before:
                    # The flags of a filter that exists cannot be changed.
                    self._control(fd, kq_filter, _DELETE)
                self._control(fd, kq_filter, *after[kq_filter])
            except EnvironmentError:
                for kq_filter in changed[:count]:
                    self._control(fd, kq_filter, _DELETE)
                for kq_filter in changed[:count + 1]:
                    if kq_filter in before:
                        self._control(fd, kq_filter, *before[kq_filter])
                raise
        for kq_filter in before:
            if kq_filter not in after:
                self._control(fd, kq_filter, _DELETE)

    def _has_filters(self, fd):
        """Whether the kernel still has the filters of `fd`, that is, whether it was not closed."""
        for kq_filter in _filters(self._events[fd]):
            try:
                self._control(fd, kq_filter, _ENABLE)
            except EnvironmentError as error:
                if error.errno != errno.ENOENT:
                    raise
                return False
        return True

    def _control(self, fd, kq_filter, flags, fflags=0, data=0):
        self._kqueue.control([select.kevent(fd, kq_filter, flags, fflags, data)], 0, 0)


def _filters(events):
    """{filter: (flags, fflags, data)} of the filters for `events`."""
    filters = {}
    if events & READ:
        filters[_READING] = _ALWAYS
    elif events & RDHUP:
        filters[_READING] = _AT_THE_END
    if events & WRITE:
        filters[_WRITING] = _ALWAYS
    return filters


def _refuse_priority(events):
    if events & PRI:
        raise ValueError("kqueue cannot wait for PRI; use poll or select")
