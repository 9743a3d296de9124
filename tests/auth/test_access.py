"""Who may come in."""
from __future__ import absolute_import, division, print_function

import unittest

from friendserve.auth import REASONS, AuthError, is_allowed


def user(email, **claims):
    return dict({"email": email, "email_verified": True}, **claims)


class IsAllowedTest(unittest.TestCase):
    def test_check_22_whole_addresses_and_exact_domains(self):
        self.assertTrue(is_allowed(user("Ann@Example.com"), emails=["ann@example.com"]))
        self.assertTrue(is_allowed(user("ann@example.com"), domains=["EXAMPLE.com"]))
        for email in ("ann@example.com.evil.org", "ann@evil-example.com", "ann@sub.example.com",
                      "a@example.com@evil.org", "example.com", "", None, ["ann@example.com"], 7):
            self.assertFalse(is_allowed(user(email), emails=["ann@example.com"],
                                        domains=["example.com"]), email)
        self.assertFalse(is_allowed(None, domains=["example.com"]))
        self.assertFalse(is_allowed(user("ann@example.com")))

    def test_check_22_only_a_verified_address_counts(self):
        for claim in (False, None, "false", 1.5, "yes"):
            self.assertFalse(is_allowed(user("ann@example.com", email_verified=claim),
                                        domains=["example.com"]), claim)
        self.assertFalse(is_allowed({"email": "ann@example.com"}, domains=["example.com"]))

    def test_check_22_a_domain_of_google_is_its_claim(self):
        google = user("ann@example.com", iss="https://accounts.google.com")
        self.assertFalse(is_allowed(google, domains=["example.com"]))
        self.assertTrue(is_allowed(dict(google, hd="Example.com"), domains=["example.com"]))

    def test_a435_letters_that_become_ascii_are_other_letters(self):
        # U+212A, the Kelvin sign, is a "k" in lower case.
        self.assertFalse(is_allowed(user(u"mi\u212ae@example.com"), emails=["mike@example.com"]))
        self.assertFalse(is_allowed(user(u"ann@\u212aeep.com"), domains=["keep.com"]))

    def test_a435_a_single_text_is_not_a_list_of_letters(self):
        self.assertFalse(is_allowed(user("ann@e"), domains="example.com"))
        self.assertTrue(is_allowed(user("ann@example.com"), domains="example.com"))
        self.assertTrue(is_allowed(user("ann@example.com"), emails=u"ann@example.com"))


class AuthErrorTest(unittest.TestCase):
    def test_every_reason_has_words_for_a_person(self):
        for reason, words in REASONS.items():
            self.assertEqual(words, AuthError(reason, "detail").message)
            self.assertTrue(words.endswith("."))
            self.assertIn(words, str(AuthError(reason)))
