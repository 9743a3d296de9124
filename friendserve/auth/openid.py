"""Sign-in by OpenID 2.0, with attribute exchange and the OAuth extension."""
from __future__ import absolute_import, division, print_function

import calendar
import collections
import time

import six
from six.moves.urllib.parse import urlsplit

from friendserve.auth.errors import AuthError
from friendserve.auth.exchange import encode_form, redirect_by_exchange, run_exchange
from friendserve.auth.flows import MAX_AGE, new_state, next_path, open_flow, this_url
from friendserve.auth.mixin import AuthMixin
from friendserve.escape import native_str, parse_qs_bytes, to_unicode, utf8

_NS = "http://specs.openid.net/auth/2.0"
_SELECT = _NS + "/identifier_select"
_AX = "http://openid.net/srv/ax/1.0"
_OAUTH = "http://specs.openid.net/extensions/oauth/1.0"

#: The attributes that can be asked for, and their types (http://axschema.org/types/).
_TYPES = {
    "name": (("firstname", "http://axschema.org/namePerson/first"),
             ("fullname", "http://axschema.org/namePerson"),
             ("lastname", "http://axschema.org/namePerson/last")),
    "email": (("email", "http://axschema.org/contact/email"),),
    "language": (("language", "http://axschema.org/pref/language"),),
    "username": (("username", "http://axschema.org/namePerson/friendly"),),
}
_DEFAULT_ATTRIBUTES = ("name", "email", "language", "username")

#: The required values of a response, which its signature must cover (OpenID 2.0 10.1).
_REQUIRED = ("op_endpoint", "return_to", "response_nonce", "assoc_handle", "claimed_id", "identity")

#: The argument of return_to that names the flow.
_KEY = "auth_state"

#: Seconds by which the clocks of the provider and this server may differ.
_SKEW = 60


#: The nonces of responses that this process has accepted, and the most that are kept.
_nonces = collections.OrderedDict()
MAX_NONCES = 10000


class OpenIdMixin(AuthMixin):
    """Sign-in by OpenID 2.0, with one provider.

    A subclass defines `_OPENID_ENDPOINT`. The claimed identifiers of its users begin with
    `_OPENID_CLAIMED_ID`, by default the scheme and host of the endpoint.
    """
    _OPENID_CLAIMED_ID = None

    def authenticate_redirect(self, callback_uri=None, ax_attrs=_DEFAULT_ATTRIBUTES,
                              callback=None):
        """Redirect to the provider, where the user signs in.

        `callback_uri`, which may be relative, is where the provider sends the user afterwards, by
        default the URL of this request; the handler there calls `get_authenticated_user`.
        `ax_attrs` are the attributes to ask for: name, email, language, username. Calls
        `callback()` after the redirect; without a callback, returns something awaitable.
        """
        return self._redirect_with_openid(callback_uri, ax_attrs, None, callback)

    def _redirect_with_openid(self, callback_uri, ax_attrs, oauth_scope, callback):
        def work(exchange):
            args = self._openid_args(callback_uri, ax_attrs=ax_attrs, oauth_scope=oauth_scope)
            url = self._OPENID_ENDPOINT
            self.redirect(url + ("&" if "?" in url else "?") + native_str(encode_form(args)))
            exchange.end(None)

        return redirect_by_exchange(self, work, callback)

    def is_authentication_response(self):
        """Whether this request is a return from the provider, with or without success."""
        return self.get_argument("openid.mode", None) is not None

    def get_authenticated_user(self, callback=None, http_client=None):
        """Call `callback(user)` with a dict that describes the user, at the end of a sign-in: in
        the handler to which the provider sent the user. `claimed_id` identifies the user; other
        keys are name, first_name, last_name, email, locale and username, as far as the provider has
        signed them.

        If the sign-in failed, the callback gets None, and `auth_error` is the AuthError. Without
        a callback this returns a Future, which raises it.
        """
        def work(exchange):
            flow = self._take_flow(exchange, self.get_argument(_KEY, None),
                                   [self._OPENID_ENDPOINT, this_url(self)])
            if flow is None:
                return
            mode = self.get_argument("openid.mode", None)
            if mode in ("cancel", "setup_needed"):
                raise AuthError("denied")
            if mode != "id_res":
                raise AuthError("provider", native_str(
                    self.get_argument("openid.error", "openid.mode is %r" % mode)[:500]))
            values = self._signed_values()
            self._check_values(values)
            # The provider says whether it has signed this response (11.4.2).
            fields = dict((name, texts[-1]) for name, texts in self.request.arguments.items()
                          if name.startswith("openid."))
            fields["openid.mode"] = "check_authentication"
            exchange.post(self._OPENID_ENDPOINT, fields,
                          lambda reply: verified(exchange, flow, values, reply))

        def verified(exchange, flow, values, reply):
            if reply.status != 200:
                raise AuthError("provider", "status %s" % reply.status)
            # Lines end with a line feed alone (4.1.1): text after another control character, or a
            # prefix, belongs to some other value.
            said = [line for line in reply.body.split(b"\n") if line.startswith(b"is_valid:")]
            if said != [b"is_valid:true"]:
                raise AuthError("signature", "the provider does not confirm the response")
            _note_nonce((values["op_endpoint"], values["response_nonce"]))
            self._on_verified(exchange, flow, _to_user(values))

        return run_exchange(self, work, callback, http_client)

    def _on_verified(self, exchange, flow, user):
        self._end_flow(exchange, flow, user)

    def _openid_args(self, callback_uri=None, ax_attrs=(), oauth_scope=None):
        """Begin a flow, and return the parameters of the redirect."""
        where = this_url(self, callback_uri)
        if not callback_uri and next_path(self) != "/":
            # Programs written for Tornado look for it when the user returns.
            where += "?" + native_str(encode_form({"next": next_path(self)}))
        key = new_state(self)
        open_flow(self, key, [self._OPENID_ENDPOINT, where.partition("?")[0]], where)
        parts = urlsplit(where)
        args = {
            "openid.ns": _NS, "openid.claimed_id": _SELECT, "openid.identity": _SELECT,
            "openid.return_to": "%s%s%s=%s" % (where, "&" if "?" in where else "?", _KEY, key),
            "openid.realm": "%s://%s/" % (parts.scheme, parts.netloc),
            "openid.mode": "checkid_setup",
        }
        names = [pair for attribute in ax_attrs for pair in _types(attribute)]
        if names:
            args.update({"openid.ns.ax": _AX, "openid.ax.mode": "fetch_request",
                         "openid.ax.required": ",".join(name for name, _ in names)})
            args.update(("openid.ax.type." + name, uri) for name, uri in names)
        if oauth_scope:
            args.update({"openid.ns.oauth": _OAUTH, "openid.oauth.scope": oauth_scope,
                         "openid.oauth.consumer": self.request.host_name})
        return args

    def _signed_values(self):
        """{name: text} of the values that the response says are signed, without the prefix
        "openid."; a name that is sent twice is an error."""
        signed = self.get_argument("openid.signed", "").split(",")
        values = {}
        for name in signed:
            texts = self.request.arguments.get("openid." + native_str(name), [])
            if len(texts) > 1:
                raise AuthError("token", "openid.%s is sent twice" % native_str(name))
            if texts:
                values[native_str(name)] = to_unicode(texts[0])
        missing = [name for name in _REQUIRED if not values.get(name)]
        if missing:
            raise AuthError("signature", "not signed: " + ", ".join(missing))
        return values

    def _check_values(self, values):
        """Raise AuthError unless a response is from this provider, for this page, and fresh
        (11.1 to 11.3)."""
        if values["op_endpoint"] != self._OPENID_ENDPOINT:
            raise AuthError("issuer", "op_endpoint is " + native_str(values["op_endpoint"][:200]))
        endpoint = urlsplit(self._OPENID_ENDPOINT)
        prefix = self._OPENID_CLAIMED_ID or "%s://%s/" % (endpoint.scheme, endpoint.netloc)
        if not values["claimed_id"].startswith(prefix) or values["claimed_id"] == prefix:
            raise AuthError("issuer", "claimed_id is " + native_str(values["claimed_id"][:200]))
        where, _, query = native_str(values["return_to"]).partition("?")
        returned = parse_qs_bytes(utf8(query), keep_blank_values=True)
        if where != this_url(self) or any(self.request.arguments.get(name) != texts
                                          for name, texts in returned.items()):
            raise AuthError("audience", "return_to is " + native_str(values["return_to"][:200]))
        try:
            made = calendar.timegm(time.strptime(native_str(values["response_nonce"][:20]),
                                                 "%Y-%m-%dT%H:%M:%SZ"))
        except ValueError:
            raise AuthError("nonce", "response_nonce has no time")
        if not -_SKEW <= time.time() - made <= MAX_AGE + _SKEW:
            raise AuthError("clock", "the response was made at " + native_str(
                values["response_nonce"][:20]))


def _note_nonce(nonce):
    """Raise AuthError for an (endpoint, nonce) that was accepted before (11.3). The provider, which
    is asked first, refuses one that another process accepted (11.4.2.1)."""
    if nonce in _nonces:
        raise AuthError("nonce", "the response was used before")
    _nonces[nonce] = True
    while len(_nonces) > MAX_NONCES:
        _nonces.popitem(last=False)


def _types(attribute):
    if attribute not in _TYPES:
        raise ValueError("ax_attrs must be among %s, not %r" % (
            ", ".join(sorted(_TYPES)), attribute))
    return _TYPES[attribute]


def _to_user(values):
    """The dict for a user, from signed values."""
    alias = _alias(values, _AX)
    attributes = {}
    for name, uri in values.items():
        if alias and name.startswith(alias + ".type."):
            value = name.replace(".type.", ".value.", 1)
            # Providers may send a list.
            attributes[uri] = values.get(value) or values.get(value + ".1") or u""

    def find(name):
        return attributes.get(dict(pair for pairs in _TYPES.values() for pair in pairs)[name], u"")

    first, last, full = find("firstname"), find("lastname"), find("fullname")
    user = {"claimed_id": values["claimed_id"], "first_name": first, "last_name": last,
            "name": full or u" ".join(part for part in (first, last) if part),
            "email": find("email"), "locale": find("language").lower(),
            "username": find("username")}
    user["name"] = user["name"] or user["email"].partition(u"@")[0]
    user = dict((name, value) for name, value in six.iteritems(user) if value)
    token = values.get("%s.request_token" % _alias(values, _OAUTH))
    if token:
        user["_request_token"] = token
    return user


def _alias(values, namespace):
    """The name that a signed response gives to a namespace, or None."""
    for name, uri in values.items():
        if name.startswith("ns.") and uri == namespace:
            return name[3:]
    return None
