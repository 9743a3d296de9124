"""Digest authentication of a fetch: which challenge to answer, and when to send a request again.
The answer itself is computed in `protocol.httpauth`."""
from __future__ import absolute_import, division, print_function

import binascii
import os

from friendserve.protocol.httpauth import choose_digest, parse_parameters
from friendserve.util import remember

#: How many challenges a client keeps.
MAX_CHALLENGES = 1000


class DigestAuth(object):
    """Answers the Digest challenges of one fetch at one URL (RFC 7616).

    `challenges` maps (origin, user name) to the last DigestChallenge; all fetches of a client share
    it, so only a user's first fetch has to be refused. `may_repeat`: whether the request can be
    sent again. A 401 is answered at most twice, since a remembered nonce may have expired, and
    never with the nonce that was just refused.
    """
    __slots__ = ("_challenges", "_key", "_target", "_name", "_password", "_may_repeat", "_nonce",
                 "_count")

    def __init__(self, challenges, url, user, may_repeat):
        self._challenges = challenges
        self._name, self._password = user
        self._key = url.origin, self._name
        self._target = url.target
        self._may_repeat = may_repeat
        self._nonce = None          # the nonce of the last answer
        self._count = 0             # number of challenges accepted

    def answer(self, method):
        """The value of an Authorization header, or None while there is no challenge to answer.
        Raises ValueError for a user name that cannot be sent."""
        challenge = self._challenges.get(self._key)
        if challenge is None:
            return None
        self._nonce = challenge.nonce
        return challenge.answer(self._name, self._password, method, self._target,
                                str(binascii.hexlify(os.urandom(16)).decode("ascii")))

    def learn(self, status, headers):
        """Take note of a response's head; return whether to send the request again."""
        if status == 401 and self._take_challenge(headers):
            return True
        if "Authentication-Info" in headers:
            self._take_next_nonce(headers)
        return False

    def _take_challenge(self, headers):
        challenge = choose_digest(headers.get_list("WWW-Authenticate"))
        if challenge is None or challenge.nonce == self._nonce or self._count == 2 \
                or not self._may_repeat:
            return False
        self._count += 1
        remember(self._challenges, MAX_CHALLENGES, self._key, challenge)
        return True

    def _take_next_nonce(self, headers):
        challenge = self._challenges.get(self._key)
        for name, value in parse_parameters(headers["Authentication-Info"]):
            if name == "nextnonce" and challenge is not None:
                challenge.next_nonce(value)
