"""Passwords, and a limit on how often they can be guessed."""
from __future__ import absolute_import, division, print_function

import binascii
import hashlib
import hmac
import os

from friendserve.escape import utf8
from friendserve.platform.interface import monotonic_time

#: Rounds of PBKDF2 with SHA-256. They take a few tenths of a second (in a thread) to sign in, and
#: as long for each guess by someone who stole the table.
ROUNDS = 600000

MIN_PASSWORD, MAX_PASSWORD = 8, 200


def hash_password(password, rounds=ROUNDS):
    """A salted hash of a password, to store and to pass to `is_password`."""
    salt = os.urandom(16)
    return "pbkdf2_sha256$%d$%s$%s" % (rounds, _hex(salt), _hex(_derive(password, salt, rounds)))


def is_password(password, hashed):
    """Whether `hashed` is a hash of `password`. Pass None for an account that does not exist: that
    takes just as long, so the time does not reveal which accounts exist."""
    _, rounds, salt, right = (hashed or _NOBODY).split("$")
    salt = binascii.unhexlify(salt.encode("ascii"))
    matches = hmac.compare_digest(_hex(_derive(password, salt, int(rounds))), str(right))
    return matches and hashed is not None


def _derive(password, salt, rounds):
    return hashlib.pbkdf2_hmac("sha256", utf8(password), salt, rounds)


def _hex(octets):
    return str(binascii.hexlify(octets).decode("ascii"))


_NOBODY = "pbkdf2_sha256$%d$%s$%s" % (ROUNDS, "00" * 16, "00" * 32)


class Allowance(object):
    """Lets a person do something up to `most` times within `seconds`."""
    def __init__(self, most, seconds, clock=monotonic_time):
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._acts = {}         # person -> when they acted
        self._sweep_at = 1000

    def take(self, person):
        """Whether the person may act now; if so, it counts."""
        since = self._clock() - self._seconds
        acts = [act for act in self._acts.get(person, ()) if act > since]
        if len(acts) >= self._most:
            return False
        self._acts[person] = acts + [self._clock()]
        if len(self._acts) > self._sweep_at:
            self._acts = dict((one, those) for one, those in self._acts.items()
                              if those[-1] > since)
            self._sweep_at = 2 * len(self._acts) + 1000
        return True


class Guard(object):
    """Counts wrong passwords per account and delays further guesses: by one second, then two, four
    and so on, up to `most`.

    It remembers up to `size` accounts, and drops those whose last guess is oldest.
    """
    FREE = 5

    def __init__(self, size=10000, most=900, clock=monotonic_time):
        self._size = size
        self._most = most
        self._clock = clock
        self._failures = {}
        self._older = {}

    def wait(self, key):
        """The number of seconds until the next guess is allowed."""
        count, since = self._failures.get(key) or self._older.get(key) or (0, 0)
        if count < self.FREE:
            return 0
        return max(0, since + min(self._most, 2 ** (count - self.FREE)) - self._clock())

    def failed(self, key):
        """Count a wrong password."""
        count = (self._failures.get(key) or self._older.get(key) or (0, 0))[0]
        if len(self._failures) >= self._size // 2:
            self._older, self._failures = self._failures, {}
        # More would change nothing, and the power of two would get large.
        self._failures[key] = min(count + 1, 40), self._clock()

    def forgive(self, key):
        """Take back one `failed`: the password was not checked after all."""
        found = self._failures.get(key)
        if found is not None:
            self._failures[key] = max(0, found[0] - 1), found[1]

    def succeeded(self, key):
        """Reset the count: a password was right."""
        self._failures.pop(key, None)
        self._older.pop(key, None)
