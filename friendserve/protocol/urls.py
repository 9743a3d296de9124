"""The http and https URLs that a client can fetch (RFC 3986, RFC 9110 4.2), taken apart.

    url = parse_url("https://me:secret@example.com/a?b#c")
    url.origin          # ("https", "example.com", 443)
    url.target          # "/a?b", as in a request line
    url.username        # "me"
"""
from __future__ import absolute_import, division, print_function

import re

import six
from six.moves.urllib.parse import quote, unquote, urljoin

from friendserve.protocol.grammar import MAX_HOST_NAME, is_host, is_host_name

DEFAULT_PORTS = {"http": 80, "https": 443}

_find_forbidden = re.compile(u"[\x00-\x20\x7f\\\\]").search
_split = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://([^/?#]*)([^#]*)", re.DOTALL).match
_split_host = re.compile(r"(\[[^\]]*\]|[^:]*)(?::([0-9]{0,5}))?\Z", re.DOTALL).match

# Most programs fetch a few URLs again and again. URLs with a username or password are not
# remembered.
_urls = {}
_URLS = 500
_URL_LENGTH = 512


class URL(object):
    """The parts of a URL: `scheme`, `host` (in lower case, an IPv6 address without its brackets),
    `port`, `authority` (the value of the Host header), `target` (path and query), `username` and
    `password` (decoded, or None), and `text`, the whole URL without username, password and
    fragment. `origin` is (scheme, host, port)."""
    __slots__ = ("scheme", "host", "port", "authority", "target", "username", "password",
                 "origin", "text")

    def __init__(self, scheme, host, port, target, username, password):
        self.scheme = scheme
        self.host = host
        self.port = port
        self.target = target
        self.username = username
        self.password = password
        self.origin = scheme, host, port
        self.authority = "[%s]" % host if ":" in host else host
        if port != DEFAULT_PORTS[scheme]:
            self.authority += ":%d" % port
        self.text = scheme + "://" + self.authority + target

    def __repr__(self):
        return "URL(%r)" % self.text


def parse_url(url):
    """`url`, text or UTF-8 bytes, as a URL.

    Characters beyond ASCII are encoded: in the host by IDNA, elsewhere as percent-escaped
    UTF-8. Raises ValueError for anything but an absolute http or https URL, and for whitespace,
    control characters and backslashes, which different programs interpret differently.
    """
    if str is not bytes and isinstance(url, bytes):  # version: py2
        url = url.decode("utf-8")
    known = _urls.get(url)
    if known is not None:
        return known
    parsed = _parse(url)
    if parsed.username is None and parsed.password is None and len(url) <= _URL_LENGTH:
        # As `util.remember`, without a call.
        if len(_urls) >= _URLS:
            _urls.clear()
        _urls[url] = parsed
    return parsed


def join_url(base, reference):
    """The URL that `reference` refers to on the page `base` (RFC 3986 5)."""
    # `urljoin` would treat an absolute URL without a host as a relative one.
    return reference if _split(reference) else urljoin(base, reference)


def _parse(url):
    text = url.decode("utf-8") if isinstance(url, bytes) else url
    if not isinstance(text, six.text_type):
        raise TypeError("a URL is text, not %s" % type(url).__name__)
    if _find_forbidden(text):
        raise ValueError("whitespace, control characters and backslashes must be "
                         "percent-encoded in a URL: %r" % _shown(text))
    match = _split(text)
    if match is None or match.group(1).lower() not in DEFAULT_PORTS:
        raise ValueError("only absolute http:// and https:// URLs can be fetched, not %r"
                         % _shown(text))
    scheme, authority, target = match.groups()
    scheme = str(scheme.lower())
    userinfo, at, place = authority.rpartition("@")
    match = _split_host(place)
    host = _encode_host(match.group(1)) if match is not None else ""
    if not host:
        raise ValueError("there is no valid host in the URL %r" % _shown(text))
    port = int(match.group(2) or DEFAULT_PORTS[scheme])
    if not 0 < port < 65536:
        raise ValueError("there is no valid port in the URL %r" % _shown(text))
    username = password = None
    if at:
        name, colon, secret = userinfo.partition(":")
        username = unquote(str(_escape(name)))
        password = unquote(str(_escape(secret))) if colon else None
    target = str(_escape(target))
    return URL(scheme, host, port, target if target.startswith("/") else "/" + target,
               username, password)


def _encode_host(host):
    if host.startswith("["):
        # Only the URL and the Host header have the brackets.
        return str(host[1:-1].lower()) if ":" in host and is_host(host) else ""
    if len(host) > MAX_HOST_NAME:
        return ""
    try:
        host = host.encode("ascii")
    except UnicodeError:
        try:
            host = host.encode("idna")
        except UnicodeError:
            return ""
    host = host.decode("ascii").lower()
    # IDNA turns some characters into ":", "/" or "%".
    return str(host) if len(host) <= MAX_HOST_NAME and is_host_name(host) else ""


def _escape(text):
    """`text` with characters beyond ASCII as percent-escaped UTF-8; the rest is unchanged."""
    try:
        text.encode("ascii")
    except UnicodeError:
        return "".join([quote(char.encode("utf-8")) if char > u"\x7f" else str(char)
                        for char in text])
    return text


def _shown(text):
    """A URL for an error message: without a possible password, and shortened."""
    return re.sub(r"//[^/?#]*@", "//...@", text)[:200]


def to_octets(text):
    """The bytes of text from the wire, which on Python 3 has one character per byte."""
    return text if isinstance(text, bytes) else text.encode("latin-1")


#: The characters that are not changed in a URL that is quoted as a whole.
ASCII = "".join(map(chr, range(128)))


def quote_octets(text):
    """Text from the wire, percent-encoded where it is not ASCII, for a URL."""
    return quote(to_octets(text), safe=ASCII)


_is_local_path = re.compile(r"/(?!/)[!-\[\]-~]*\Z").match


def is_safe_next(url):
    """Whether `url` is a path on this site, so that signing in cannot lead a user elsewhere.

    To a browser "//host" is another host, "\\" is the same as "/", and tabs are ignored.
    """
    return _is_local_path(url) is not None
