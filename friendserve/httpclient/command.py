"""The command line of ``python -m friendserve.httpclient``: its options and its output."""
from __future__ import absolute_import, division, print_function

import argparse
import sys

try:
    import tqdm
except ImportError:
    tqdm = None

from friendserve.httpclient.blocking import HTTPClient
from friendserve.httpclient.errors import HTTPError


def _is_true(text):
    if text.lower() in ("", "1", "true", "yes", "on"):
        return True
    if text.lower() in ("0", "false", "no", "off"):
        return False
    raise argparse.ArgumentTypeError("expected true or false, not %r" % text)


def parse_arguments(arguments):
    """Parse a command line (default: that of this process) into its options and `urls`."""
    parser = argparse.ArgumentParser(prog="python -m friendserve.httpclient",
                                     description="Fetch URLs and print the responses.")
    for name, default, text in (
            ("print_headers", False, "print the head of each response"),
            ("print_body", True, "print the body of each response"),
            ("follow_redirects", True, "follow redirects"),
            ("validate_cert", True, "reject servers with an invalid certificate"),
            ("progress", True, "show a progress bar on standard error if standard output is "
                               "redirected and the package tqdm is installed")):
        parser.add_argument("--" + name, type=_is_true, nargs="?", const=True, default=default,
                            metavar="BOOL", help="%s (default: %s)" % (text, default))
    parser.add_argument("--proxy_host", metavar="HOST", help="fetch through this HTTP proxy")
    parser.add_argument("--proxy_port", type=int, metavar="PORT", help="the port of the proxy")
    parser.add_argument("urls", metavar="URL", nargs="+")
    return parser.parse_args(arguments)


class Output(object):
    """Writes a response to standard output as it arrives, and shows the progress."""
    def __init__(self, options):
        self._options = options
        self._out = getattr(sys.stdout, "buffer", sys.stdout)
        self._size = None       # the Content-Length
        self._bar = None

    def on_line(self, line):
        if self._options.print_headers:
            self._out.write(line.encode("latin-1") if not isinstance(line, bytes) else line)
        name, _, value = line.partition(":")
        if name.lower() == "content-length" and value.strip().isdigit():
            self._size = int(value)

    def on_data(self, data):
        if self._bar is None and tqdm is not None and self._options.progress \
                and not sys.stdout.isatty():
            self._bar = tqdm.tqdm(total=self._size, unit="B", unit_scale=True, disable=None)
        if self._bar is not None:
            self._bar.update(len(data))
        if self._options.print_body:
            self._out.write(data)

    def close(self):
        if self._bar is not None:
            self._bar.close()
        self._out.flush()


def main(arguments=None):
    """Fetch the URLs on the command line one by one. Return the exit status: 1 if any failed."""
    options = parse_arguments(arguments)
    status = 0
    # The body is passed on and not kept, so its size does not matter.
    with HTTPClient(max_body_size=sys.maxsize) as client:
        for url in options.urls:
            output = Output(options)
            try:
                client.fetch(url, header_callback=output.on_line,
                             streaming_callback=output.on_data, request_timeout=0,
                             follow_redirects=options.follow_redirects,
                             validate_cert=options.validate_cert,
                             proxy_host=options.proxy_host, proxy_port=options.proxy_port)
            except (HTTPError, ValueError) as error:
                status = 1
                sys.stderr.write("%s: %s\n" % (url, error))
            finally:
                output.close()
    return status
