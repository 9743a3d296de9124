"""The client's side of the Digest authentication scheme (RFC 7616).

    challenge = choose_digest(headers.get_list("WWW-Authenticate"))
    if challenge is not None:
        value = challenge.answer("me", "secret", "GET", "/path", cnonce)
"""
from __future__ import absolute_import, division, print_function

import hashlib
import re

import six

from friendserve.escape import utf8
from friendserve.protocol.grammar import TOKEN_CHARS

#: The supported algorithms, best first.
ALGORITHMS = (("SHA-256", hashlib.sha256), ("MD5", hashlib.md5))

#: Bytes of a challenge that are parsed; the rest is ignored.
MAX_CHALLENGE = 4096

_next_item = re.compile(
    r'[\s,]*([%s]+)(?:[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([%s/=:]+)))?' % (
        TOKEN_CHARS, TOKEN_CHARS)).match


def parse_parameters(value):
    """The items of a header value in order: (name, value), the names in lower case. The value is
    None for a name without one, such as that of a scheme (RFC 9110 11.2). The list ends at the
    first malformed item."""
    value = value[:MAX_CHALLENGE]
    position = 0
    items = []
    while True:
        match = _next_item(value, position)
        if match is None:
            return items
        position = match.end()
        name, quoted, token = match.groups()
        items.append((name.lower(),
                      token if quoted is None else re.sub(r"\\(.)", r"\1", quoted)))


def parse_challenges(values):
    """The values of WWW-Authenticate headers -> [(scheme, {name: value}), ...]."""
    challenges = []
    for value in values:
        for name, parameter in parse_parameters(value):
            if parameter is None:
                challenges.append((name, {}))
            elif challenges:
                challenges[-1][1][name] = parameter
    return challenges


def choose_digest(values):
    """The `DigestChallenge` with the best algorithm among WWW-Authenticate headers, or None."""
    challenges = [DigestChallenge(parameters) for scheme, parameters in parse_challenges(values)
                  if scheme == "digest" and "nonce" in parameters]
    for name, _ in ALGORITHMS:
        for challenge in challenges:
            if challenge.algorithm == name and challenge.is_understood:
                return challenge
    return None


class DigestChallenge(object):
    """A challenge by a server; it can be answered several times. `parameters` are those of the
    header; `is_understood` is whether `answer` can be used."""
    __slots__ = ("realm", "nonce", "opaque", "algorithm", "_session", "_named", "_qop", "_count",
                 "is_understood")

    def __init__(self, parameters):
        self.realm = parameters.get("realm", "")
        self.nonce = parameters["nonce"]
        self.opaque = parameters.get("opaque")
        self._named = parameters.get("algorithm")   # as the server wrote it, or None
        name = (self._named or "MD5").upper()
        self._session = name.endswith("-SESS")
        self.algorithm = name[:-5] if self._session else name
        qops = [qop.strip().lower() for qop in parameters.get("qop", "").split(",")]
        self._qop = "auth" if "auth" in qops else None
        # "auth-int" alone would need the whole body.
        self.is_understood = self._qop is not None or qops == [""]
        self._count = 0             # answers with this nonce so far

    def next_nonce(self, nonce):
        """Use another nonce from now on, as requested by the server (RFC 7616 3.5)."""
        self.nonce = nonce
        self._count = 0

    def answer(self, username, password, method, target, cnonce):
        """The value of an Authorization header for one request. `cnonce` is a random str.

        Raises ValueError for a username with a control character.
        """
        hasher = dict(ALGORITHMS)[self.algorithm]

        def digest(*parts):
            return hasher(b":".join([utf8(part) if isinstance(part, six.text_type) else part
                                     for part in parts])).hexdigest()

        # The realm was decoded as latin-1, one character per byte.
        realm = self.realm if isinstance(self.realm, bytes) else self.realm.encode("latin-1")
        name = to_latin(username)
        if re.search("[\x00-\x1f\x7f]", name):
            raise ValueError("the username %r contains a control character" % (username,))
        self._count += 1
        count = "%08x" % self._count
        secret = digest(utf8(username), realm, utf8(password or ""))
        if self._session:
            secret = digest(secret, self.nonce, cnonce)
        action = digest(method, target)
        fields = [("username", quote(name)), ("realm", quote(self.realm)),
                  ("nonce", quote(self.nonce)), ("uri", quote(target))]
        if self._qop is not None:
            fields += [("qop", self._qop), ("nc", count), ("cnonce", quote(cnonce))]
            response = digest(secret, self.nonce, count, cnonce, self._qop, action)
        else:
            if self._session:
                fields.append(("cnonce", quote(cnonce)))
            response = digest(secret, self.nonce, action)
        fields.append(("response", quote(response)))
        if self._named is not None:
            fields.append(("algorithm", self._named))
        if self.opaque is not None:
            fields.append(("opaque", quote(self.opaque)))
        return "Digest " + ", ".join("%s=%s" % field for field in fields)


def to_latin(text):
    """`text` as a native string with one character per byte of its UTF-8, as headers are kept."""
    data = utf8(text)
    return data if str is bytes else data.decode("latin-1")  # version: py2


def quote(value):
    """`value` as a quoted-string (RFC 9110 5.6.4)."""
    return '"%s"' % value.replace("\\", "\\\\").replace('"', '\\"')
