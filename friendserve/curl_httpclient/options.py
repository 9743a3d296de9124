"""Translates an HTTPRequest into options of libcurl (curl_easy_setopt(3))."""
from __future__ import absolute_import, division, print_function

import socket
import ssl

import pycurl

from friendserve.escape import utf8
from friendserve.httpclient import HTTPConnectError
from friendserve.httpclient.fetch import WITH_BODY
from friendserve.httputil import HTTPHeaders
from friendserve.netutil.endpoints import port_number, unix_path
from friendserve.netutil.tls import checked_ssl_options

#: The schemes that proxy_host may have.
PROXY_KINDS = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")

_HTTP_ONLY = pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS

_HAS_HTTP2 = bool(pycurl.version_info()[4] & pycurl.VERSION_HTTP2)

#: Milliseconds that amount to "no timeout"; 0 would mean libcurl's default of 300 seconds.
_NO_TIMEOUT = 2 ** 31 - 1

_AUTH_MODES = {None: pycurl.HTTPAUTH_BASIC, "basic": pycurl.HTTPAUTH_BASIC,
               "digest": pycurl.HTTPAUTH_DIGEST}

#: The CAs the system trusts; a libcurl from a pycurl wheel may not know where they are.
_TRUSTED = ssl.get_default_verify_paths()


def check_request(url, request):
    """Raise ValueError for options that libcurl does not support, before the fetch begins."""
    if request.proxy_host is not None:
        _split_proxy(request)
    if request.proxy_auth_mode not in _AUTH_MODES:
        raise ValueError("proxy_auth_mode must be None, 'basic' or 'digest', not %r"
                         % (request.proxy_auth_mode,))
    if request.unix_socket is not None:
        unix_path(request.unix_socket)
    if url.scheme == "https":
        _tls_options(request)


def _split_proxy(request):
    """(kind, host, port) of the proxy."""
    kind, separator, host = request.proxy_host.rpartition("://")
    kind = kind.lower() if separator else "http"
    if kind not in PROXY_KINDS:
        raise ValueError("unknown kind of proxy %r; use one of %s"
                         % (kind, ", ".join(PROXY_KINDS)))
    if not host or not request.proxy_port:
        raise ValueError("a proxy needs both proxy_host and proxy_port")
    # libcurl decodes percent-escapes here; only the zone of an IPv6 address may have some.
    if "%" in host.rpartition("@")[2] and "[" not in host:
        raise ValueError("percent-escapes in proxy_host %r" % request.proxy_host)
    return kind, host, port_number(request.proxy_port)


def _tls_options(request):
    options = request.tls_options()
    if not isinstance(options, dict):
        raise ValueError("libcurl cannot use an SSLContext: make ssl_options a dict, or use the "
                         "simple client")
    options = checked_ssl_options(options, False)
    if options.get("ssl_version") not in (None, ssl.PROTOCOL_SSLv23):
        raise ValueError("the curl client does not support ssl_version; libcurl chooses it")
    return options


def set_options(curl, fetch):
    """Set all options for a fetch on a handle that was reset. Raises pycurl.error and ValueError,
    and whatever prepare_curl_callback raises."""
    request, url = fetch.request, fetch.url
    if request.method == "HEAD" and (request.body is not None or request.body_producer):
        raise ValueError("libcurl cannot send a body with HEAD")
    setopt = curl.setopt
    setopt(pycurl.NOSIGNAL, 1)
    # Also limits libcurl's redirects, in case prepare_curl_callback turns them on.
    setopt(pycurl.PROTOCOLS, _HTTP_ONLY)
    setopt(pycurl.URL, url.text)
    setopt(pycurl.PATH_AS_IS, 1)
    headers = fetch.build_headers(HTTPHeaders())
    _set_headers(setopt, headers, _set_method(setopt, fetch))
    if request.auth_mode == "digest" and "Authorization" not in headers:
        _set_user(setopt, fetch)
    _set_route(setopt, request, fetch.client.hostname_mapping, url)
    if url.scheme == "https":
        _set_tls(setopt, _tls_options(request))
    else:
        # HTTP/2 is used with TLS only; here libcurl need not look for a connection to share.
        setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
    if request.prepare_curl_callback is not None:
        request.prepare_curl_callback(curl)


def _set_headers(setopt, headers, has_body):
    # Two have separate options, which cost libcurl less than searching the list.
    for name, option in (("User-Agent", pycurl.USERAGENT), ("Accept-Encoding", pycurl.ENCODING)):
        value = headers._values.get(name)
        if value and not isinstance(value, list):
            setopt(option, _to_wire(value))
            del headers._values[name]
    # With ENCODING libcurl would also decompress the response; CurlTransfer does that.
    setopt(pycurl.HTTP_CONTENT_DECODING, 0)
    # libcurl takes "Name;" for a header with an empty value; "Name:" would remove it.
    lines = ["%s: %s" % (name, value) if value else name + ";"
             for name, value in headers.get_all()]
    if has_body:
        # libcurl adds these by itself unless they are removed.
        lines += [name + ":" for name in ("Expect", "Content-Type") if name not in headers]
    if lines:
        setopt(pycurl.HTTPHEADER, [_to_wire(line) for line in lines])


def _to_wire(text):
    # The text of a header is latin-1, but pycurl accepts only ASCII as str.
    return text if isinstance(text, bytes) else text.encode("latin-1")


def _set_method(setopt, fetch):
    """Set the method and body. Return whether there is a body."""
    method, request = fetch.method, fetch.request
    has_body = True
    if method == "HEAD":
        setopt(pycurl.NOBODY, 1)
        has_body = False
    elif request.body_producer is not None:
        setopt(pycurl.UPLOAD, 1)
        setopt(pycurl.INFILESIZE_LARGE, -1 if fetch.body_left is None else fetch.body_left)
        setopt(pycurl.CUSTOMREQUEST, method)
    elif request.body is not None or method in WITH_BODY:
        setopt(pycurl.POSTFIELDS, request.body or b"")
        if method != "POST":
            setopt(pycurl.CUSTOMREQUEST, method)
    else:
        has_body = False
        if method != "GET":
            setopt(pycurl.CUSTOMREQUEST, method)
    return has_body


def _set_user(setopt, fetch):
    user = fetch.user()
    if user is not None:
        setopt(pycurl.HTTPAUTH, pycurl.HTTPAUTH_DIGEST)
        setopt(pycurl.USERNAME, utf8(user[0]))
        setopt(pycurl.PASSWORD, utf8(user[1] or ""))


def _set_route(setopt, request, mapping, url):
    """Set the proxy, the addresses to use and the connect timeout."""
    if request.proxy_host is None:
        # Also overrides the environment (http_proxy).
        setopt(pycurl.PROXY, "")
    else:
        kind, host, port = _split_proxy(request)
        setopt(pycurl.PROXY, "%s://%s" % (kind, host))
        setopt(pycurl.PROXYPORT, port)
        setopt(pycurl.NOPROXY, "")
        if kind == "https" and _TRUSTED.cafile:
            setopt(pycurl.PROXY_CAINFO, _TRUSTED.cafile)
        if request.proxy_username is not None:
            setopt(pycurl.PROXYAUTH, _AUTH_MODES[request.proxy_auth_mode])
            setopt(pycurl.PROXYUSERNAME, utf8(request.proxy_username))
            setopt(pycurl.PROXYPASSWORD, utf8(request.proxy_password or ""))
    if not request.connect_timeout or request.connect_timeout > 200:
        setopt(pycurl.CONNECTTIMEOUT_MS, _NO_TIMEOUT)
    if not request.allow_ipv6:
        if ":" in url.host and request.proxy_host is None:
            # libcurl would connect regardless.
            raise HTTPConnectError("Connection failed: an IPv6 address, with allow_ipv6 False",
                                   "resolve")
        setopt(pycurl.IPRESOLVE, pycurl.IPRESOLVE_V4)
    if request.network_interface is not None:
        setopt(pycurl.INTERFACE, request.network_interface)
    if request.unix_socket is not None:
        setopt(pycurl.UNIX_SOCKET_PATH, request.unix_socket)
    family = socket.AF_UNSPEC if request.allow_ipv6 else socket.AF_INET
    for key in ((url.host, url.port, family), (url.host, url.port), url.host) if mapping else ():
        if key in mapping:
            place = mapping[key]
            host, port = place if isinstance(place, tuple) else (place, url.port)
            setopt(pycurl.CONNECT_TO, ["::%s:%d" % ("[%s]" % host if ":" in host else host, port)])
            break


def _set_tls(setopt, options):
    setopt(pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2)
    if _HAS_HTTP2:
        setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
    if options.get("cert_reqs") == ssl.CERT_NONE:
        setopt(pycurl.SSL_VERIFYPEER, 0)
        setopt(pycurl.SSL_VERIFYHOST, 0)
    elif options.get("ca_certs"):
        setopt(pycurl.CAINFO, options["ca_certs"])
    else:
        if _TRUSTED.cafile:
            setopt(pycurl.CAINFO, _TRUSTED.cafile)
        if _TRUSTED.capath:
            setopt(pycurl.CAPATH, _TRUSTED.capath)
    if options.get("certfile"):
        setopt(pycurl.SSLCERT, options["certfile"])
        setopt(pycurl.SSLKEY, options.get("keyfile") or options["certfile"])
    if options.get("ciphers"):
        setopt(pycurl.SSL_CIPHER_LIST, options["ciphers"])
