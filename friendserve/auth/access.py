"""Who may come in."""
from __future__ import absolute_import, division, print_function


def is_allowed(user, emails=(), domains=()):
    """Whether a user who has signed in has one of these e-mail addresses, or one of a domain.

    Addresses and domains are compared as a whole, without regard to case. An address counts only if
    the provider says that it has verified it (the claim email_verified), as anybody can type any;
    for a user of Google the domain is that of the claim `hd`, not of the address. False for None.
    """
    if not user:
        return False
    email = user.get("email")
    is_verified = user.get("email_verified") in (True, "true")
    if not email or not is_verified or email.count("@") != 1:
        return False
    email = email.lower()
    if email in [one.lower() for one in emails]:
        return True
    domain = email.partition("@")[2]
    if user.get("iss") in ("https://accounts.google.com", "accounts.google.com"):
        domain = (user.get("hd") or "").lower()
    return bool(domain) and domain in [one.lower() for one in domains]
