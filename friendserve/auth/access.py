"""Deciding which users have access."""
from __future__ import absolute_import, division, print_function

import six

from friendserve.escape import to_unicode

_UPPER = dict((ord(letter), letter.lower()) for letter in u"ABCDEFGHIJKLMNOPQRSTUVWXYZ")


def is_allowed(user, emails=(), domains=()):
    """Whether a user who has signed in has one of these e-mail addresses, or one of a domain.

    Addresses and domains are compared as a whole, ignoring the case of ASCII letters only, because
    others, such as the Kelvin sign, would become ASCII letters. An address counts only if the
    provider says that it has verified it (the claim email_verified), since users can enter any
    address; for a Google user, the domain is the claim `hd`, not that of the address. False for
    None. A single address or domain need not be in a list.
    """
    if not user:
        return False
    email = user.get("email")
    is_verified = user.get("email_verified") in (True, "true")
    if not isinstance(email, (six.text_type, bytes)) or not is_verified:
        return False
    email = _fold(email)
    if email.count(u"@") != 1:
        return False
    if email in _fold_all(emails):
        return True
    domain = email.partition(u"@")[2]
    if user.get("iss") in ("https://accounts.google.com", "accounts.google.com"):
        domain = _fold(user.get("hd") or u"")
    return bool(domain) and domain in _fold_all(domains)


def _fold(text):
    return to_unicode(text).translate(_UPPER)


def _fold_all(texts):
    return [_fold(text) for text in (
        [texts] if isinstance(texts, (six.text_type, bytes)) else texts)]
