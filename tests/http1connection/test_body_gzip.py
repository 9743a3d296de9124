"""Request bodies that are compressed: decompressed within limits, or refused."""
from __future__ import absolute_import, division, print_function

import gzip
import io
import zlib

from tests.httpcase import (
    Delegate, HTTPCase, LogCatcher, Recorder, echo, get, post, post_chunked)

GZIP = "Content-Encoding: gzip\r\n"


def compress(data):
    target = io.BytesIO()
    packer = gzip.GzipFile(fileobj=target, mode="wb")
    packer.write(data)
    packer.close()
    return target.getvalue()


class GzipTest(HTTPCase):
    def serve_gzip(self, callback=echo, **options):
        return self.serve(callback, decompress_request=True, **options)

    def test_body(self):
        seen = []
        self.serve_gzip(lambda request: (seen.append(request.headers), echo(request)))
        for coding in ("gzip", "GZIP", "x-gzip"):
            header = "Content-Encoding: %s\r\n" % coding
            packed = compress(b"hello" * 1000)
            for data in (post(packed, headers=header), post_chunked(
                    packed[:7], packed[7:], headers=header)):
                client = self.connect(data=data + get())
                self.assertEqual(client.read_response().body, b"hello" * 1000)
                self.assertEqual(client.read_response().body, b"")
                self.assertNotIn("Content-Encoding", seen[-2])
                self.assertEqual(seen[-2]["X-Consumed-Content-Encoding"], coding)

    def test_only_when_asked_for(self):
        self.serve(echo)
        packed = compress(b"hello")
        self.assertEqual(self.fetch(post(packed, headers=GZIP)).body, packed)

    def test_a209_other_codings(self):
        self.serve_gzip()
        for coding in ("deflate", "br", "gzip, gzip", "zstd"):
            self.assert_refused(post(b"x" * 20, headers="Content-Encoding: %s\r\n" % coding), 415)
        plain = post(b"x", headers="Content-Encoding: identity\r\n")
        self.assertEqual(self.fetch(plain).body, b"x")

    def test_a209_members(self):
        self.serve_gzip()
        data = compress(b"hello ") + compress(b"") + compress(b"world")
        self.assertEqual(self.fetch(post(data, headers=GZIP)).body, b"hello world")

    def test_a209_a_piece_is_bounded(self):
        class Counting(Recorder):
            def data_received(self, chunk):
                self.events.append(len(chunk))

        delegate = Delegate(Counting)
        self.serve_gzip(delegate)
        packed = compress(b"\0" * 30000000)
        self.assertLess(len(packed), 65536)
        for data in (post(packed, headers=GZIP), post_chunked(packed, headers=GZIP)):
            self.assertEqual(self.fetch(data).status, 200)
            sizes = delegate.messages[-1].events[1:-1]
            self.assertEqual(sum(sizes), 30000000)
            self.assertLess(max(sizes), 1100000)

    def test_a045_a209_bomb(self):
        self.serve_gzip(max_body_size=100000)
        bomb = compress(b"\0" * 50000000)
        self.assertLess(len(bomb), 100000)
        self.assert_refused(post(bomb, headers=GZIP), 413)
        self.assert_refused(post_chunked(bomb, headers=GZIP), 413)
        # Exactly as much as the limit.
        self.assertEqual(len(self.fetch(post(compress(b"x" * 100000), headers=GZIP)).body), 100000)
        self.assert_refused(post(compress(b"x" * 100001), headers=GZIP), 413)

    def test_a029_damaged(self):
        self.serve_gzip()
        whole = compress(b"hello" * 100)
        for data in (whole[:-1], whole[:-8], whole[:15], whole[:3], b"not gzip at all",
                     whole + b"garbage", whole[:-8] + b"\0" * 8, zlib.compress(b"hello"),
                     b"\x1f\x8b" + b"\0" * 100):
            self.assert_refused(post(data, headers=GZIP), 400)
            self.assert_refused(post_chunked(*[data[i:i + 1] for i in range(len(data))],
                                             headers=GZIP), 400)

    def test_a209_closed_half_way(self):
        self.serve_gzip()
        bomb = compress(b"\0" * 50000000)
        with LogCatcher() as records:
            client = self.connect(data=post(bomb, headers=GZIP)[:-1000])
            self.turn(0.01, times=3)
            client.abort()
            self.run_until(lambda: not self.server.connection_count())
        self.assertEqual(records, [])

    def test_streamed(self):
        delegate = Delegate()
        self.serve_gzip(delegate)
        packed = compress(b"hello" * 1000)
        self.assertEqual(self.fetch(post(packed, headers=GZIP)).body, b"hello" * 1000)
        self.assertEqual(delegate.messages[0].events[-1], "finish")
        self.assert_refused(post(packed[:-1], headers=GZIP), 400)
        self.assertEqual(delegate.messages[1].events[-1], "close")
