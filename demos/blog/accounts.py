"""Passwords, and how often one may be guessed."""
from __future__ import absolute_import, division, print_function

import binascii
import hashlib
import hmac
import os

from friendserve.escape import utf8
from friendserve.platform.interface import monotonic_time

#: PBKDF2 with SHA-256 takes so many rounds: a few tenths of a second, in a thread, for those who
#: sign in, and as much for each guess of those who stole the table.
ROUNDS = 600000

MIN_PASSWORD, MAX_PASSWORD = 8, 200


def hash_password(password, rounds=ROUNDS):
    """A text that tells whether a password is the right one, and not what it is."""
    salt = os.urandom(16)
    return "pbkdf2_sha256$%d$%s$%s" % (rounds, _hex(salt), _hex(_derive(password, salt, rounds)))


def is_password(password, hashed):
    """Whether `hashed` was made of `password`. None for `hashed`, where there is no such account:
    that takes as long, so that nobody learns who has one."""
    _, rounds, salt, right = (hashed or _NOBODY).split("$")
    salt = binascii.unhexlify(salt.encode("ascii"))
    matches = hmac.compare_digest(_hex(_derive(password, salt, int(rounds))), str(right))
    return matches and hashed is not None


def _derive(password, salt, rounds):
    return hashlib.pbkdf2_hmac("sha256", utf8(password), salt, rounds)


def _hex(octets):
    return str(binascii.hexlify(octets).decode("ascii"))


_NOBODY = "pbkdf2_sha256$%d$%s$%s" % (ROUNDS, "00" * 16, "00" * 32)


class Guard(object):
    """Counts wrong passwords of an account, and holds off who guesses on: first for a second, then
    for two, four, up to `most`.

    Of the `size` accounts it remembers, those that were guessed at last are kept.
    """
    FREE = 5

    def __init__(self, size=10000, most=900, clock=monotonic_time):
        self._size = size
        self._most = most
        self._clock = clock
        self._failures = {}
        self._older = {}

    def wait(self, key):
        """For how many seconds nothing more is to be tried; 0 for none."""
        count, since = self._failures.get(key) or self._older.get(key) or (0, 0)
        if count < self.FREE:
            return 0
        return max(0, since + min(self._most, 2 ** (count - self.FREE)) - self._clock())

    def failed(self, key):
        """A password was wrong."""
        count = (self._failures.get(key) or self._older.get(key) or (0, 0))[0]
        if len(self._failures) >= self._size // 2:
            self._older, self._failures = self._failures, {}
        # Beyond this it changes nothing, and a power of two takes room.
        self._failures[key] = min(count + 1, 40), self._clock()

    def forgive(self, key):
        """It was not looked at after all."""
        found = self._failures.get(key)
        if found is not None:
            self._failures[key] = max(0, found[0] - 1), found[1]

    def succeeded(self, key):
        """It was right."""
        self._failures.pop(key, None)
        self._older.pop(key, None)
