"""`Waker`, `set_close_exec` and pollers for this system.

    poller = make_poller()          # the best one, or the one that FRIENDSERVE_POLLER names
    poller = make_poller("select")  # this one
"""

from __future__ import absolute_import, division, print_function

import errno
import importlib
import os
import select

if os.name == "nt":
    from friendserve.platform.pollers.windows import Waker, set_close_exec
else:
    from friendserve.platform.pollers.posix import Waker, set_close_exec

__all__ = ["Waker", "available_pollers", "make_poller", "set_close_exec"]

# Best first. Each name is also that of the module, and of the function of the module select without
# which the system lacks this poller. gevent removes functions, perhaps after this was imported.
_PREFERENCE = (
    ("epoll", "EpollPoller"),
    ("kqueue", "KqueuePoller"),
    ("poll", "PollPoller"),
    ("select", "SelectPoller"),
)

# These mean that a resource has run out, not that the system lacks the call.
_SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


def _load(preference):
    classes = {}
    package = __name__.rpartition(".")[0]
    for name, class_name in preference:
        if hasattr(select, name):
            module = importlib.import_module(package + "." + name)
            classes[name] = getattr(module, class_name)
    return classes


_classes = _load(_PREFERENCE)


def _create(name):
    """A new poller, or None where the system lacks it. Raises EnvironmentError when out of fds."""
    if name not in _classes or not hasattr(select, name):
        return None
    try:
        return _classes[name]()
    except EnvironmentError as error:
        if error.errno in _SHORTAGES:
            raise
        return None  # compiled in, but refused by the kernel or a sandbox


def available_pollers():
    """The names of the pollers of this system, best first: a list of str."""
    names = []
    for name, _ in _PREFERENCE:
        poller = _create(name)
        if poller is not None:
            poller.close()
            names.append(name)
    return names


def make_poller(name=None):
    """Create a poller.

    `name` is "epoll", "kqueue", "poll" or "select", or "auto" for the first of these that the
    system has. None means the value of the environment variable FRIENDSERVE_POLLER, or "auto" if
    that is not set.

    Raises ValueError for an unknown name, ImportError for a poller that this system lacks (both
    list those available), EnvironmentError when out of fds.
    """
    name = name or os.environ.get("FRIENDSERVE_POLLER") or "auto"
    names = [known for known, _ in _PREFERENCE]
    if name not in names and name != "auto":
        raise ValueError("unknown poller %r; available here: %s, or auto"
                         % (name, ", ".join(available_pollers())))
    for candidate in names if name == "auto" else [name]:
        poller = _create(candidate)
        if poller is not None:
            return poller
    raise ImportError("this system has no %s poller; available here: %s"
                      % (name, ", ".join(available_pollers())))
