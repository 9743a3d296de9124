"""Shared by the tests of servers behind proxies."""
from __future__ import absolute_import, division, print_function

from tests.httpcase import HTTPCase, answer, get

OURS = "127.0.0.1"


class ProxyCase(HTTPCase):
    def serve_facts(self, **options):
        self.serve(lambda request: answer(
            request, ("%s %s" % (request.remote_ip, request.protocol)).encode("ascii")), **options)

    def facts(self, *lines):
        """(address, scheme) of a request with these header lines."""
        headers = "".join([line + "\r\n" for line in lines])
        return tuple(self.fetch(get("/", headers)).body.decode("ascii").split(" "))

    def address(self, *lines):
        return self.facts(*lines)[0]
