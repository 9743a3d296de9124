"""The command line of ``python -m friendserve.httpclient``: its options, and one fetch after
another."""
from __future__ import absolute_import, division, print_function

import argparse
import getpass
import io
import json
import sys

from friendserve.httpclient.blocking import HTTPClient
from friendserve.httpclient.errors import (
    HTTPClientClosedError, HTTPConnectError, HTTPError, HTTPTimeoutError, HTTPTLSError,
    HTTPTransferError)
from friendserve.httpclient.messages import HTTPRequest
from friendserve.httpclient.output import Output, Progress
from friendserve.httputil import HTTPHeaders

_DESCRIPTION = """\
Fetch URLs and write the responses to standard output. A URL without a scheme is http, and one that
begins with a colon is on this machine: example.com, localhost:8888/path, :8888/path.
"""

_EPILOG = """\
examples:
  python -m friendserve.httpclient -i :8888/
  python -m friendserve.httpclient -d name=Ada -d year=1815 :8888/people
  python -m friendserve.httpclient --json '{"name": "Ada"}' -X PUT :8888/people/1
  python -m friendserve.httpclient -u ada:secret -o page.html https://example.com/

exit status, that of the first URL that failed:
  0  each response was a success (2xx)
  1  another failure              6  the host is unknown
  2  the command line is wrong    7  no connection
  3  the status was 3xx          23  the response cannot be written
  4  the status was 4xx          28  it took too long
  5  the status was 5xx          60  the certificate is not valid, or TLS failed
"""

#: Options that are true without a value, and take one after a "=".
_FLAGS = (("print_headers", False, "the same as -i"),
          ("print_body", True, "write the body of each response"),
          ("follow_redirects", True, "follow redirects"),
          ("validate_cert", True, "no: the same as -k"),
          ("progress", True, "show the progress of long downloads on a terminal"))

_FORM = "application/x-www-form-urlencoded"


def _is_true(text):
    if text.lower() in ("", "1", "true", "yes", "on"):
        return True
    if text.lower() in ("0", "false", "no", "off"):
        return False
    raise argparse.ArgumentTypeError("expected yes or no, not %r" % text)


def _proxy(text):
    host, colon, port = text.partition("://")[2].rstrip("/").rpartition(":") \
        if "://" in text else text.rpartition(":")
    if not colon or not port.isdigit():
        raise argparse.ArgumentTypeError("expected HOST:PORT, not %r" % text)
    return host, int(port)


def _header(text):
    name, colon, value = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError("expected 'NAME: VALUE', not %r" % text)
    return name.strip(), value.strip()


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m friendserve.httpclient", usage="%(prog)s [OPTION ...] URL [URL ...]",
        description=_DESCRIPTION, epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    group = parser.add_argument_group("request")
    group.add_argument("-X", "--request", metavar="METHOD", dest="method",
                       help="the method; otherwise GET, or POST with -d and --json")
    group.add_argument("-H", "--header", metavar="'NAME: VALUE'", type=_header, action="append",
                       default=[], dest="headers", help="add a header; may be repeated")
    group.add_argument("-d", "--data", metavar="DATA", action="append",
                       help="the body, in the format of forms unless -H says otherwise; several "
                            "are joined with &. @FILE: the contents of a file, @-: of standard "
                            "input")
    group.add_argument("--json", metavar="JSON", help="the body, as JSON; @FILE and @- as for -d")
    group.add_argument("-u", "--user", metavar="NAME:PASSWORD",
                       help="sign in; without a password, it is asked for")
    group.add_argument("-A", "--user-agent", metavar="NAME", help="the header User-Agent")
    group.add_argument("-I", "--head", action="store_true",
                       help="ask for the head of the response only, by HEAD")
    group = parser.add_argument_group("response")
    group.add_argument("-i", "--include", action="store_true", help="write the head as well")
    group.add_argument("-o", "--output", metavar="FILE", help="write to a file; -: to standard "
                       "output, even to a terminal")
    group.add_argument("-v", "--verbose", action="store_true",
                       help="show the heads of all requests and responses on standard error")
    group = parser.add_argument_group("connection")
    group.add_argument("-L", "--location", action="store_true",
                       help="follow redirects, which is the default")
    group.add_argument("-k", "--insecure", action="store_true",
                       help="accept servers with an invalid certificate")
    group.add_argument("-x", "--proxy", metavar="HOST:PORT", type=_proxy,
                       help="fetch through this HTTP proxy")
    group.add_argument("-m", "--max-time", metavar="SECONDS", type=float, default=0,
                       help="the longest time that a fetch may take; otherwise there is no limit")
    group = parser.add_argument_group("options that may be turned off, as in --progress=no")
    for name, default, text in _FLAGS:
        group.add_argument("--" + name.replace("_", "-"), type=_is_true, default=default,
                           dest=name, metavar="YES|NO", help="%s (default: %s)" % (
                               text, "yes" if default else "no"))
    # As they were called before -x.
    parser.add_argument("--proxy-host", help=argparse.SUPPRESS)
    parser.add_argument("--proxy-port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("urls", metavar="URL", nargs="+", help=argparse.SUPPRESS)
    return parser


def parse_arguments(arguments=None):
    """Parse a command line (default: that of this process) into its options and `urls`. If it is
    wrong, exit with a message and status 2."""
    parser = _parser()
    words = []
    for word in sys.argv[1:] if arguments is None else arguments:
        name, equals, value = word.partition("=")
        if name.startswith("--"):
            name = name.replace("_", "-")
            if not equals and name[2:].replace("-", "_") in [flag[0] for flag in _FLAGS]:
                # Or the parser would take the next word, perhaps the URL, for its value.
                equals, value = "=", "yes"
        words.append(name + equals + value)
    options = parser.parse_args(words)
    if options.include or options.head:
        options.print_headers = True
    if options.insecure:
        options.validate_cert = False
    if options.proxy is not None:
        options.proxy_host, options.proxy_port = options.proxy
    if options.output not in (None, "-") and len(options.urls) > 1:
        parser.error("-o takes one URL: with %d, each would replace the one before"
                     % len(options.urls))
    try:
        options.body = _read_body(options)
    except (EnvironmentError, ValueError) as error:
        parser.error(str(error))
    return options


def _read_body(options):
    if options.data is not None and options.json is not None:
        raise ValueError("-d and --json exclude each other")
    if options.json is None:
        return None if options.data is None else b"&".join(_read(data) for data in options.data)
    body = _read(options.json)
    try:
        json.loads(body.decode("utf-8"))
    except ValueError as error:
        raise ValueError("--json: this is not JSON: %s" % error)
    return body


def _read(data):
    if data == "@-":
        return getattr(sys.stdin, "buffer", sys.stdin).read()
    if data.startswith("@"):
        with io.open(data[1:], "rb") as source:
            return source.read()
    return data if isinstance(data, bytes) else data.encode("utf-8", "surrogateescape")


def complete_url(url):
    """The URL that a person means who leaves out the scheme, or the name of this machine."""
    if "://" in url:
        return url
    if url.startswith(":") and not url.startswith("::"):
        url = "localhost" + (url if url[1:2].isdigit() else url[1:])
    return "http://" + url


def _make_request(url, options, output):
    headers = HTTPHeaders()
    if options.json is not None:
        headers["Content-Type"] = headers["Accept"] = "application/json"
    elif options.body is not None:
        headers["Content-Type"] = _FORM
    added = HTTPHeaders()
    for name, value in options.headers:
        added.add(name, value)
    for name in added:
        # Those of the command line replace those above.
        headers.pop(name, None)
    for name, value in added.get_all():
        headers.add(name, value)
    name, colon, password = (options.user or "").partition(":")
    method = options.method or (
        "HEAD" if options.head else "GET" if options.body is None else "POST")
    return HTTPRequest(
        url, method=method, headers=headers, body=options.body,
        auth_username=name or None, auth_password=password if name else None,
        user_agent=options.user_agent, request_timeout=options.max_time,
        header_callback=output.on_line, streaming_callback=output.on_data,
        follow_redirects=options.follow_redirects, validate_cert=options.validate_cert,
        proxy_host=options.proxy_host, proxy_port=options.proxy_port,
        # Whoever names a method means it; POST without a body has an empty one.
        allow_nonstandard_methods=options.method is not None)


def _status_of(error):
    """The exit status for the error of a fetch."""
    if not isinstance(error, HTTPTransferError):
        return error.code // 100 if 300 <= error.code < 600 else 1
    if error.phase == "request" and isinstance(error.real_error, (ValueError, TypeError)):
        return 2
    if isinstance(error, HTTPTimeoutError):
        return 28
    if isinstance(error, HTTPTLSError):
        return 60
    if isinstance(error, HTTPConnectError):
        return 6 if error.phase == "resolve" else 7
    return 1


def _show_heads(client):
    """Show the heads of all requests and responses of a client on standard error."""
    class Shown(client.fetch_class):
        def build_headers(self, headers):
            headers = super(Shown, self).build_headers(headers)
            _show(">", ["%s %s HTTP/1.1" % (self.method, self.url.target)] + [
                "%s: %s" % pair for pair in headers.get_all()])
            return headers

        def on_head(self, status, reason, headers, raw):
            _show("<", raw.decode("latin-1").strip().splitlines())
            return super(Shown, self).on_head(status, reason, headers, raw)

    client.fetch_class = Shown


def _show(mark, lines):
    sys.stderr.write("".join("%s %s\n" % (mark, line) for line in lines) + "%s\n" % mark)


def fetch(client, url, options):
    """Fetch one URL and write the response; return the exit status."""
    progress = Progress(sys.stderr if options.progress and sys.stderr.isatty() and (
        options.output not in (None, "-") or not sys.stdout.isatty()) else None)
    output = Output(options, progress)
    problem, status = None, 0
    try:
        client.fetch(_make_request(complete_url(url), options, output))
    except HTTPError as error:
        problem, status = error, _status_of(error)
        if isinstance(error, HTTPTransferError) and not isinstance(error, HTTPClientClosedError):
            problem = error.message
    except (ValueError, TypeError) as error:
        problem, status = error, 2
    finally:
        output.close(succeeded=problem is None)
    if output.error is not None:
        problem, status = output.error, 23
        if output.error.is_closed:
            return status
    if problem is not None:
        sys.stderr.write("%s: %s\n" % (url, problem))
    return status


def main(arguments=None):
    """Fetch the URLs on the command line one by one. Return the exit status."""
    options = parse_arguments(arguments)
    statuses = []
    try:
        if options.user and ":" not in options.user and sys.stdin.isatty():
            options.user += ":" + getpass.getpass("Password of %s: " % options.user)
        # The body is passed on and not kept, so its size does not matter.
        with HTTPClient(max_body_size=sys.maxsize) as client:
            if options.verbose:
                _show_heads(client._client)
            for url in options.urls:
                statuses.append(fetch(client, url, options))
    except KeyboardInterrupt:
        return 130
    return next((status for status in statuses if status), 0)
