"""`friendserve ctl` and `friendserve ping`: what an operator or a container asks a service."""
from __future__ import absolute_import, division, print_function

import argparse
import json
import os
import socket
import sys

from six.moves import http_client
from six.moves.urllib.parse import urlsplit

from friendserve.escape import native_str

COMMANDS = ("status", "reload", "stop", "add", "remove", "connections", "stacks")

#: Seconds that a reload may take, one worker after another.
PATIENCE = 600


def run_ctl(argv=None, out=sys.stdout):
    """Send a command to a master and print its answer. Returns the exit status: 0 done, 1 refused,
    2 wrong arguments, 3 no service answers."""
    parser = argparse.ArgumentParser(
        prog="friendserve ctl", description="Ask a running service, or tell it what to do.")
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("--control", default=os.environ.get("FRIENDSERVE_CONTROL"),
                        metavar="unix:/PATH", help="the socket that the service was given with "
                        "--control; by default FRIENDSERVE_CONTROL")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    options = parser.parse_args(argv)
    if not options.control:
        parser.error("--control unix:/PATH is needed, or FRIENDSERVE_CONTROL")
    try:
        answer = ask(options.control, options.command)
    except (EnvironmentError, ValueError) as error:
        print("friendserve ctl: no answer from %s: %s" % (options.control, error), file=sys.stderr)
        return 3
    if "error" in answer:
        print("friendserve ctl: %s" % answer["error"], file=sys.stderr)
        return 1
    result = answer["result"]
    print(native_str(json.dumps(result) if options.json else format_result(result)), file=out)
    return 0


def ask(path, command):
    """The answer to a command, a dict. Raises EnvironmentError or ValueError if there is none."""
    sock = _connect(path[5:] if path.startswith("unix:") else path, PATIENCE)
    try:
        sock.sendall(json.dumps({"command": command}).encode("ascii") + b"\n")
        received = b""
        while not received.endswith(b"\n"):
            piece = sock.recv(65536)
            if not piece:
                raise ValueError("the connection ended")
            received += piece
        return json.loads(received.decode("utf-8"))
    finally:
        sock.close()


def _connect(path, timeout):
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(timeout)
    try:
        sock.connect(path)
    except Exception:
        sock.close()
        raise
    return sock


def format_result(result):
    """A result as text for people: a list of objects becomes a table."""
    if not isinstance(result, list):
        return str(result)
    if not result:
        return "none"
    names = sorted(result[0], key=lambda name: (name != "slot", name != "pid", name))
    rows = [names] + [["" if row[name] is None else "%s" % (
        int(row[name]) if isinstance(row[name], float) else row[name],) for name in names]
        for row in result]
    widths = [max(len(row[column]) for row in rows) for column in range(len(names))]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip()
                     for row in rows)


def run_ping(argv=None):
    """Fetch a URL, and return the exit status: 0 if the response is a success or a redirect, 1 for
    other statuses and if there is none, 2 for wrong arguments."""
    parser = argparse.ArgumentParser(
        prog="friendserve ping", description="A health check for containers that have no curl.")
    parser.add_argument("url", help="http://host:port/path, or unix:/socket, or "
                        "unix:/socket:/path; the default path is /health/live")
    parser.add_argument("--timeout", type=float, default=5, help="seconds (5)")
    options = parser.parse_args(argv)
    if not options.url.startswith(("http://", "https://", "unix:")):
        parser.error("a URL begins with http://, https:// or unix:, not %s" % options.url)
    try:
        status = _fetch_status(options.url, options.timeout)
    except (EnvironmentError, http_client.HTTPException, ValueError) as error:
        print("friendserve ping: %s: %s" % (options.url, error), file=sys.stderr)
        return 1
    if status >= 400:
        print("friendserve ping: %s answers %d" % (options.url, status), file=sys.stderr)
    return 0 if status < 400 else 1


def _fetch_status(url, timeout):
    if url.startswith("unix:"):
        place, _, path = url[5:].partition(":")
        connection = http_client.HTTPConnection("localhost", timeout=timeout)
        connection.sock = _connect(place, timeout)
    else:
        parts = urlsplit(url)
        kind = http_client.HTTPSConnection if parts.scheme == "https" \
            else http_client.HTTPConnection
        connection = kind(parts.hostname, parts.port, timeout=timeout)
        path = parts.path + ("?" + parts.query if parts.query else "")
    try:
        connection.request("GET", path or "/health/live", headers={"Connection": "close"})
        return connection.getresponse().status
    finally:
        connection.close()
