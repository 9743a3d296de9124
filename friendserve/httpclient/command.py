"""What ``python -m friendserve.httpclient`` takes, and what it prints."""
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
    raise argparse.ArgumentTypeError("true or false, not %r" % text)


def parse_arguments(arguments):
    """The options and `urls` of a command line (default: that of this process)."""
    parser = argparse.ArgumentParser(prog="python -m friendserve.httpclient",
                                     description="Fetch URLs and print what comes.")
    for name, default, text in (
            ("print_headers", False, "print the head of each response"),
            ("print_body", True, "print the body"),
            ("follow_redirects", True, "go where a redirect leads"),
            ("validate_cert", True, "refuse servers whose certificate does not hold"),
            ("progress", True, "draw a bar for a long download, if the package tqdm is there and "
                               "the output is no terminal")):
        parser.add_argument("--" + name, type=_is_true, nargs="?", const=True, default=default,
                            metavar="BOOL", help="%s (default: %s)" % (text, default))
    parser.add_argument("--proxy_host", help="an HTTP proxy")
    parser.add_argument("--proxy_port", type=int)
    parser.add_argument("urls", metavar="URL", nargs="+")
    return parser.parse_args(arguments)


class Output(object):
    """Writes a response as it comes, and draws its progress."""
    def __init__(self, options):
        self._options = options
        self._out = getattr(sys.stdout, "buffer", sys.stdout)
        self._size = None
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
    """Fetch the URLs on the command line one by one; returns the status to exit with: 1 when one
    of them failed. ``--help`` tells the options."""
    options = parse_arguments(arguments)
    status = 0
    # A download is bounded by its reader, not by us.
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
