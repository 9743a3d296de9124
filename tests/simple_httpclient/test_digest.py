"""`DigestAuth`: which challenges a fetch answers."""
from __future__ import absolute_import, division, print_function

import unittest

from friendserve.httputil import HTTPHeaders
from friendserve.protocol.urls import parse_url
from friendserve.simple_httpclient import digest
from friendserve.simple_httpclient.digest import DigestAuth


def challenge(nonce):
    return HTTPHeaders({"WWW-Authenticate": 'Digest realm="r", nonce="%s"' % nonce})


class DigestAuthTest(unittest.TestCase):
    def setUp(self):
        self.challenges = {}

    def make(self, url="http://h/path", user=("me", "secret"), may_repeat=True):
        return DigestAuth(self.challenges, parse_url(url), user, may_repeat)

    def test_no_answer_without_a_challenge(self):
        self.assertIsNone(self.make().answer("GET"))

    def test_a_challenge_is_answered(self):
        auth = self.make()
        self.assertTrue(auth.learn(401, challenge("n")))
        answer = auth.answer("GET")
        for part in ('Digest username="me"', 'nonce="n"', 'uri="/path"'):
            self.assertIn(part, answer)
        self.assertNotIn("secret", answer)

    def test_the_next_fetch_answers_beforehand(self):
        self.make().learn(401, challenge("n"))
        self.assertIn('uri="/other"', self.make("http://h/other").answer("GET"))
        self.assertIsNone(self.make("http://other/").answer("GET"))
        self.assertIsNone(self.make(user=("you", "secret")).answer("GET"))

    def test_the_nonce_that_was_refused_is_not_sent_again(self):
        auth = self.make()
        auth.learn(401, challenge("n"))
        auth.answer("GET")
        self.assertFalse(auth.learn(401, challenge("n")))

    def test_two_challenges_at_most(self):
        auth = self.make()
        for number in range(2):
            self.assertTrue(auth.learn(401, challenge(number)))
            auth.answer("GET")
        self.assertFalse(auth.learn(401, challenge("third")))

    def test_a_request_that_cannot_be_repeated(self):
        self.assertFalse(self.make(may_repeat=False).learn(401, challenge("n")))

    def test_other_responses_ask_for_nothing(self):
        for status, headers in ((200, challenge("n")), (401, HTTPHeaders()),
                                (401, HTTPHeaders({"WWW-Authenticate": "Basic realm=r"}))):
            self.assertFalse(self.make().learn(status, headers))
        self.assertEqual({}, self.challenges)

    def test_the_next_nonce_is_used(self):
        auth = self.make()
        auth.learn(401, challenge("n"))
        auth.answer("GET")
        self.assertFalse(auth.learn(200, HTTPHeaders(
            {"Authentication-Info": 'rspauth="x", nextnonce="m"'})))
        self.assertIn('nonce="m"', auth.answer("GET"))

    def test_the_number_of_challenges_is_bounded(self):
        for number in range(digest.MAX_CHALLENGES + 2):
            self.make(user=(str(number), "x")).learn(401, challenge("n"))
        self.assertLessEqual(len(self.challenges), digest.MAX_CHALLENGES)


if __name__ == "__main__":
    unittest.main()
