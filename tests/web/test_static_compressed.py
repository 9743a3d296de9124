"""Static files with compressed files beside them."""
from __future__ import absolute_import, division, print_function

import os

from tests.staticcase import StaticCase


class CompressedBeforehandTest(StaticCase):
    PLAIN = b"var a = 1;\n" * 1000

    def setUp(self):
        super(CompressedBeforehandTest, self).setUp()
        self.write("app.js", self.PLAIN, self.OLD)
        self.write("app.js.gz", b"gzip'd", self.OLD)
        self.write("app.js.br", b"brotli'd", self.OLD)
        self.settle()

    def ask_accepting(self, accept, **headers):
        """The Response, the same from the disk and from memory."""
        headers["Accept_Encoding"] = accept
        bodies = []
        for _ in range(2):
            response = self.ask("/static/app.js", **headers)
            bodies.append(response.body)
        self.assertEqual(bodies[0], bodies[1])
        return response

    def test_what_the_client_accepts(self):
        for accept, body, coding in [
                ("gzip, deflate, br", b"brotli'd", "br"), ("gzip", b"gzip'd", "gzip"),
                ("br;q=0, *", b"gzip'd", "gzip"), ("x-gzip", b"gzip'd", "gzip"),
                ("deflate", self.PLAIN, None), ("", self.PLAIN, None),
                ("gzip;q=0", self.PLAIN, None)]:
            response = self.ask_accepting(accept)
            self.assertEqual((response.body, response.headers.get("Content-Encoding")),
                             (body, coding), accept)
            self.assertEqual(response.headers["Content-Length"], str(len(body)))
            self.assertEqual(response.headers["Vary"], "Accept-Encoding")
            self.assertIn("javascript", response.headers["Content-Type"])

    def test_each_coding_has_another_etag(self):
        etags = [self.ask_accepting(accept).headers["Etag"] for accept in ("", "gzip", "br")]
        self.assertEqual(len(set(etags)), 3)
        for etag, accept in zip(etags, ("", "gzip", "br")):
            response = self.ask_accepting(accept, If_None_Match=etag)
            self.assertEqual((response.status, response.headers["Vary"]), (304, "Accept-Encoding"))
        self.assertEqual(self.ask_accepting("gzip", If_None_Match=etags[0]).status, 200)

    def test_ranges_are_of_what_is_sent(self):
        response = self.ask_accepting("gzip", Range="bytes=0-3")
        self.assertEqual((response.status, response.body, response.headers["Content-Range"]),
                         (206, b"gzip", "bytes 0-3/6"))
        # The error for a range that cannot be satisfied is not compressed.
        response = self.ask_accepting("gzip", Range="bytes=9999-")
        self.assertEqual((response.status, response.headers.get("Content-Encoding")), (416, None))

    def test_a_file_without_compressed_forms_does_not_vary(self):
        response = self.ask("/static/hello.txt", Accept_Encoding="gzip")
        self.assertNotIn("Vary", response.headers)

    def test_an_older_compressed_file_is_not_sent(self):
        self.write("app.js", self.PLAIN + b"more", self.OLD + 1)
        response = self.ask_accepting("gzip, br")
        self.assertEqual(response.body, self.PLAIN + b"more")
        self.assertNotIn("Content-Encoding", response.headers)

    def test_a_compressed_file_that_appears_or_vanishes_is_noticed(self):
        self.ask_accepting("gzip, br")
        os.unlink(os.path.join(self.root, "app.js.br"))
        self.assertEqual(self.ask_accepting("gzip, br").body, b"gzip'd")
        self.settle()
        self.ask_accepting("gzip, br")
        self.write("app.js.br", b"again", self.OLD)
        self.assertEqual(self.ask_accepting("gzip, br").body, b"again")

    def test_a402_links_and_folders_are_left_alone(self):
        secret = os.path.join(self.folder, "secret")
        with open(secret, "wb") as target:
            target.write(b"secret")
        for name in ("app.js.br", "app.js.gz"):
            os.unlink(os.path.join(self.root, name))
        os.symlink(secret, os.path.join(self.root, "app.js.br"))
        os.mkdir(os.path.join(self.root, "app.js.gz"))
        self.assertEqual(self.ask_accepting("gzip, br").body, self.PLAIN)

    def test_a_compressed_file_requested_by_name_is_sent_as_it_is(self):
        response = self.ask("/static/app.js.gz", Accept_Encoding="gzip")
        self.assertEqual((response.body, response.headers["Content-Type"]),
                         (b"gzip'd", "application/gzip"))
        self.assertNotIn("Content-Encoding", response.headers)

    def test_a_compressed_file_is_not_compressed_again(self):
        self.write("app.js.gz", b"gzip'd" * 1000, self.OLD)
        self.serve_files(compress_response=True)
        response = self.ask_accepting("gzip")
        self.assertEqual(response.body, b"gzip'd" * 1000)
        self.assertEqual(response.headers.get_list("Content-Encoding"), ["gzip"])
        self.assertEqual(response.headers.get_list("Vary"), ["Accept-Encoding"])
