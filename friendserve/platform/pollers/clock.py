"""A clock that never goes backwards."""
from __future__ import absolute_import, division, print_function

import sys
import threading
import time

import six

if six.PY2:  # version: py2
    try:
        import ctypes
    except ImportError:
        ctypes = None

#: Seconds by which a clock may be set back unnoticed.
NOTICED_STEP = 1.0


def never_backwards(clock):
    """Wrap `clock` (a function that returns seconds) in one that stops while `clock` is set back,
    and continues from there. Setting the clock forward cannot be distinguished from time that
    passes."""
    state = [clock(), 0.0]  # last reading; sum of the steps backwards

    def steady():
        now = clock()
        if now < state[0]:
            state[1] += state[0] - now
        state[0] = now
        return now + state[1]

    return steady


def noticing_steps(clock, on_step):
    """Wrap `clock` in one that calls `on_step(seconds)`, in the thread that reads it, when it was
    set back by more than `NOTICED_STEP` seconds since it was last read; once for each step."""
    last = [clock()]
    lock = threading.RLock()

    def read():
        now = clock()
        # Less may be another thread that has read the clock later but stored it sooner.
        if last[0] - now > NOTICED_STEP:
            with lock:
                step = last[0] - now
                if step > NOTICED_STEP:
                    last[0] = now
                    on_step(step)
        last[0] = now
        return now

    return read


def _ctypes_monotonic():  # version: py2
    """time.monotonic for Python 2, or None if the C library cannot be called."""
    clock_ids = {"linux": 1, "darwin": 6, "freebsd": 4, "openbsd": 3, "netbsd": 3}
    clock_id = [n for name, n in clock_ids.items() if sys.platform.startswith(name)]
    if ctypes is None or not clock_id:
        return None

    class timespec(ctypes.Structure):
        _fields_ = [("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long)]

    for library in (None, "librt.so.1"):  # in librt before glibc 2.17
        try:
            clock_gettime = ctypes.CDLL(library).clock_gettime
        except (OSError, AttributeError):
            continue
        clock_gettime.argtypes = [ctypes.c_int, ctypes.POINTER(timespec)]
        reading = timespec()
        if clock_gettime(clock_id[0], ctypes.byref(reading)) == 0:
            def monotonic():
                reading = timespec()
                clock_gettime(clock_id[0], ctypes.byref(reading))
                return reading.tv_sec + reading.tv_nsec * 1e-9
            return monotonic
    return None


#: monotonic_time(): seconds as a float from an arbitrary start, which never go backwards and do not
#: depend on changes to the system's date. Only differences are meaningful, and only within one
#: process.
if six.PY2:  # version: py2
    monotonic_time = _ctypes_monotonic() or never_backwards(time.time)
else:
    monotonic_time = time.monotonic
