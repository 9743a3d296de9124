"""What a service tells systemd (sd_notify(3)). Without systemd, nothing is sent."""
from __future__ import absolute_import, division, print_function

import os
import socket

from friendserve.log import gen_log
from friendserve.platform.pollers.clock import monotonic_time


class Notifier(object):
    """Sends the state of the service to the socket that `environ` names.

    `watchdog` is the interval in seconds within which systemd wants to hear from the service; None
    if it does not.
    """
    def __init__(self, environ=os.environ):
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = None
        self.watchdog = None
        usec = environ.get("WATCHDOG_USEC", "")
        if usec.isdigit() and environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid()):
            self.watchdog = int(usec) / 1e6

    def ready(self, status):
        self._send("READY=1", "STATUS=" + status, "MAINPID=%d" % os.getpid())

    def status(self, text):
        self._send("STATUS=" + text)

    def reloading(self):
        """Say that a reload begins, and when, as units of ``Type=notify-reload`` need it; `ready`
        ends it."""
        self._send("RELOADING=1", "MONOTONIC_USEC=%d" % (monotonic_time() * 1e6))

    def stopping(self, seconds):
        """Say that the service stops, which may take this many seconds."""
        self._send("STOPPING=1", "STATUS=Draining")
        self.extend(seconds)

    def extend(self, seconds):
        """Ask for more time for the operation under way."""
        self._send("EXTEND_TIMEOUT_USEC=%d" % (seconds * 1e6))

    def main_pid(self, pid):
        self._send("MAINPID=%d" % pid)

    def alive(self):
        """Pet the watchdog."""
        self._send("WATCHDOG=1")

    def _send(self, *lines):
        if not self._address:
            return
        try:
            if self._socket is None:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                self._socket.setblocking(False)
            self._socket.sendto("\n".join(lines).encode("utf-8"), self._address)
        except EnvironmentError as error:
            gen_log.warning("Cannot notify systemd at %r: %s", self._address, error)
