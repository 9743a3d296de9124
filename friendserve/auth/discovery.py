"""OpenID Connect providers: their metadata and keys, fetched from the issuer's URL and kept."""
from __future__ import absolute_import, division, print_function

from friendserve.auth.errors import AuthError
from friendserve.auth.exchange import check_secure
from friendserve.ioloop import IOLoop
from friendserve.log import gen_log
from friendserve.protocol.errors import UnknownKeyError

#: Seconds: for which metadata and keys are current; for which they are used while the provider
#: cannot be reached; the least between two requests for keys.
MAX_AGE = 3600
MAX_STALE = 86400
MIN_KEY_INTERVAL = 60

#: The most bytes of a set of keys.
MAX_KEYS = 256 * 1024

_ATTACHED_AS = "friendserve.auth.discovery"
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_OPTIONAL_ENDPOINTS = ("userinfo_endpoint", "end_session_endpoint")


def provider(issuer):
    """The Provider of an issuer, one for each loop."""
    providers = IOLoop.current().attachments.setdefault(_ATTACHED_AS, {})
    if issuer not in providers:
        providers[issuer] = Provider(issuer)
    return providers[issuer]


class Provider(object):
    """What is known about an issuer. `metadata` is a dict (OpenID Connect Discovery 3), `keys` a
    list of public keys; both are empty until they have been fetched."""

    def __init__(self, issuer):
        self.issuer = issuer
        self.metadata = {}
        self.keys = []
        self._metadata_time = self._keys_time = self._keys_asked = None

    def load(self, exchange, then):
        """Do the step `then()` when the metadata is there and current."""
        age = _age(self._metadata_time)
        if age is not None and age < MAX_AGE:
            return then()

        def failed(error):
            if age is None or age > MAX_STALE:
                raise error
            gen_log.warning("The metadata of %s is %d seconds old: %s", self.issuer, age, error)
            then()

        def got(reply):
            try:
                metadata = reply.parse()
                self._check(metadata)
            except AuthError as error:
                return failed(error)
            self.metadata = metadata
            self._metadata_time = IOLoop.current().time()
            then()

        exchange.fetch(self.issuer.rstrip("/") + "/.well-known/openid-configuration", got,
                       otherwise=failed)

    def _check(self, metadata):
        if metadata.get("issuer") != self.issuer:
            raise AuthError("issuer", "the metadata from %s is for %s" % (
                self.issuer, metadata.get("issuer")))
        for name in _ENDPOINTS + _OPTIONAL_ENDPOINTS:
            url = metadata.get(name)
            if url is None and name in _OPTIONAL_ENDPOINTS:
                continue
            if not isinstance(url, type(u"")) and not isinstance(url, str):
                raise AuthError("provider", "the metadata has no %s" % name)
            check_secure(url)
            if self.issuer.startswith("https:") and not url.startswith("https:"):
                # Only a provider on this machine may send requests to this machine.
                raise AuthError("provider", "%s must be an https URL, not %s" % (name, url))

    def with_keys(self, exchange, check):
        """Do the step `check(keys)` with the provider's keys, a list of dicts; if it raises
        UnknownKeyError, once more with new ones. Keys are fetched when they are old, and for an
        unknown one, at most once a minute."""
        age, asked = _age(self._keys_time), _age(self._keys_asked)
        may_ask = asked is None or asked >= MIN_KEY_INTERVAL
        if age is not None and (age < MAX_AGE or age <= MAX_STALE and not may_ask):
            try:
                return check(self.keys)
            except UnknownKeyError:
                if not may_ask:
                    raise

        def failed(error):
            if age is None or age > MAX_STALE:
                raise error
            gen_log.warning("The keys of %s are %d seconds old: %s", self.issuer, age, error)
            check(self.keys)

        def got(reply):
            try:
                keys = reply.parse().get("keys")
                if not isinstance(keys, list):
                    raise AuthError("provider", "the set of keys has no keys")
            except AuthError as error:
                return failed(error)
            self.keys = keys
            self._keys_time = IOLoop.current().time()
            check(keys)

        self._keys_asked = IOLoop.current().time()
        exchange.fetch(self.metadata["jwks_uri"], got, limit=MAX_KEYS, otherwise=failed)


def _age(time):
    return None if time is None else IOLoop.current().time() - time
