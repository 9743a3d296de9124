"""Keeps fetches in flight, for clients with callbacks."""
from __future__ import absolute_import, division, print_function

from fetching import check


class Fetcher(object):
    """`fetch(callback)` begins a fetch, `start` and `stop` are those of the loop."""

    def __init__(self, fetch, loop, in_flight):
        self.fetch = fetch
        self.loop = loop
        self.in_flight = in_flight

    def __call__(self, count):
        self.left = self.pending = count
        for _ in range(self.in_flight):
            self.begin()
        self.loop.start()

    def begin(self):
        if self.left:
            self.left -= 1
            self.fetch(self.on_response)

    def on_response(self, response):
        check(response.code, response.body)
        self.pending -= 1
        if self.pending:
            self.begin()
        else:
            self.loop.stop()
