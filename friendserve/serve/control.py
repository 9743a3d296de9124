"""The socket over which an operator talks to the master: one line of JSON each way.

A request is ``{"command": "reload"}``, the answer ``{"result": ...}`` or ``{"error": "..."}``. The
socket belongs to the user of the service, and only that user and root may connect.
"""
from __future__ import absolute_import, division, print_function

import functools
import json
import time

from friendserve.escape import utf8
from friendserve.iostream import StreamClosedError
from friendserve.log import app_log
from friendserve.serve.pages import MAX_ROWS
from friendserve.serve.scoreboard import STATES
from friendserve.tcpserver import TCPServer

#: The longest request, in bytes.
MAX_LINE = 4096

#: Seconds after which the workers have answered a request for reports.
REPORT_PAUSE = 1.5


class ControlServer(TCPServer):
    """Answers on the current loop. `commands` maps names to functions that are called with one
    argument, `reply`, and call that once: ``reply(result)`` with a JSON value, or
    ``reply(error="why not")``. An exception counts as an error."""
    def __init__(self, commands):
        super(ControlServer, self).__init__()
        self._commands = commands

    def handle_stream(self, stream, address):
        stream.set_close_callback(lambda: None)
        stream.read_until(b"\n", functools.partial(self._on_line, stream), max_bytes=MAX_LINE)

    def _on_line(self, stream, line):
        reply = functools.partial(_reply, stream)
        try:
            name = json.loads(line.decode("utf-8"))["command"]
            command = self._commands[name]
        except (ValueError, TypeError, KeyError, RuntimeError):
            # RuntimeError: thousands of brackets, one in the other.
            reply(error="a request is {\"command\": ...}, one of %s"
                  % ", ".join(sorted(self._commands)))
            return
        try:
            command(reply)
        except Exception as error:
            app_log.error("Exception in the command %s", name, exc_info=True)
            reply(error="%s: %s" % (type(error).__name__, error))


def _reply(stream, result=None, error=None):
    answer = {"result": result} if error is None else {"error": error}
    try:
        stream.write(utf8(json.dumps(answer)) + b"\n", stream.close)
    except StreamClosedError:
        # The operator has disconnected.
        pass


def master_commands(master, loop):
    """The commands for a `friendserve.serve.master.Master` on its loop."""
    board = master.board

    def status(reply):
        reply([{"slot": place.slot, "pid": place.pid, "state": STATES[place.state],
                "generation": place.generation, "seconds": int(time.time() - place.started),
                "connections": place.connections} for place in board.workers()])

    def reload(reply):
        master.reload(lambda error: reply("reloaded", error))

    def stop(reply):
        # Answer first: the loop ends with the service.
        reply("stopping")
        loop.add_callback(master.stop)

    def change(function):
        def command(reply):
            function()
            reply("%d workers" % master.target)
        return command

    def connections(reply):
        board.ask_for_reports()

        def collect():
            reply([dict(row, slot=place.slot, pid=place.pid) for place in board.workers()
                   for row in place.read_report()[:MAX_ROWS]])

        loop.call_later(REPORT_PAUSE, collect)

    def stacks(reply):
        master.stacks()
        reply("the workers write their stacks to their logs")

    return {"status": status, "reload": reload, "stop": stop,
            "add": change(master.add), "remove": change(master.remove),
            "connections": connections, "stacks": stacks}
