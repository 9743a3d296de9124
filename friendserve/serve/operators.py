"""What the master itself serves to operators: the pages of metrics, and the control socket.

During an upgrade, two masters have these sockets. The old one answers until the new one is ready,
and again if that ends, so that nothing is refused in between.
"""
from __future__ import absolute_import, division, print_function

from friendserve.serve.control import ControlServer, master_commands
from friendserve.serve.pages import is_path, make_operator_server

#: The permissions of the control socket.
_MODE = 0o600


class Operators(object):
    """Opens the sockets that the settings `metrics` and `control` name; `listeners` own them.
    Raises SocketsError."""
    def __init__(self, settings, listeners):
        self._metrics = self._control = ()
        if settings.metrics and not is_path(settings.metrics):
            self._metrics = listeners.private(settings.metrics)
        if settings.control and not settings.no_master:
            self._control = listeners.private(settings.control, _MODE)
        self._servers = []      # pairs (server, sockets)

    def start(self, master, loop):
        """Called in the master, once, when its loop exists; `accept` has to follow."""
        self.start_pages(master.settings, master.board)
        self._servers.append((ControlServer(master_commands(master, loop)), self._control))

    def start_pages(self, settings, board):
        """Called where there is no master."""
        self._servers.append((make_operator_server(settings, board), self._metrics))

    def accept(self):
        """Answer from now on."""
        for server, sockets in self._servers:
            server.add_sockets(sockets)

    def leave(self):
        """Leave new connections to another master."""
        for server, _ in self._servers:
            server.stop_accepting()
