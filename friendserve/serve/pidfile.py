"""The file with the pid of a master."""
from __future__ import absolute_import, division, print_function

import os


class PidFile(object):
    """The file at `path` (None: no file). While two masters run, that of the older one has
    ".oldbin" added to its name, as with nginx. `write` raises EnvironmentError."""
    def __init__(self, path):
        self.path = path
        self._pid = str(os.getpid())

    def write(self, is_upgrade=False):
        """Write the pid of this process, all at once. `is_upgrade`: its parent is the older master;
        otherwise a file with the number of the parent is a leftover."""
        if not self.path:
            return
        if is_upgrade and _first_line(self.path) == str(os.getppid()):
            os.rename(self.path, self.path + ".oldbin")
        with open(self.path + ".new", "w") as target:
            target.write(self._pid + "\n")
        os.rename(self.path + ".new", self.path)

    def take_back(self):
        """Called in the older master when the newer one has ended."""
        if self.path and not os.path.exists(self.path) \
                and _first_line(self.path + ".oldbin") == self._pid:
            os.rename(self.path + ".oldbin", self.path)

    def remove(self):
        """Remove it, unless it is that of another process by now."""
        for name in (self.path, self.path + ".oldbin") if self.path else ():
            if _first_line(name) == self._pid:
                os.remove(name)


def _first_line(path):
    try:
        with open(path) as source:
            return source.readline().strip()
    except EnvironmentError:
        return None
