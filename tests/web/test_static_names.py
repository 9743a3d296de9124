# -*- coding: utf-8 -*-
"""URLs and media types of static files with unusual names (B302, B303)."""
from __future__ import absolute_import, division, print_function

import gzip
import io

from friendserve.web import RequestHandler, StaticFileHandler
from tests.staticcase import StaticCase


class StaticUrlTest(StaticCase):
    def make_url(self, name):
        return StaticFileHandler.make_static_url({"static_path": self.root}, name)

    def test_b302_the_url_of_each_file_leads_to_it(self):
        names = [u"c#.txt", u"why?.txt", u"100%25.txt", u"50%.txt", u"a b.txt", u"a+b&c=d;e.txt",
                 u"sub folder/[1].txt", u"\"quoted\" 'name'.txt", u"d\xe9.txt", u"<b>.txt"]
        for number, name in enumerate(names):
            self.write(name if str is not bytes else name.encode("utf-8"), b"%d" % number)
        for number, name in enumerate(names):
            response = self.ask(self.make_url(name))
            self.assertEqual((200, b"%d" % number), (response.status, response.body), name)
            self.assertIn("max-age", response.headers.get("Cache-Control", ""), name)

    def test_b302_the_same_in_a_page(self):
        class Page(RequestHandler):
            def get(self):
                self.write(self.static_url("c#.txt", include_version=False))

        self.serve_files([(r"/", Page)], static_path=self.root)
        self.assertEqual(b"/static/c%23.txt", self.ask("/").body)

    def test_b302_what_needs_no_escape_is_left(self):
        for name in ("js/app-1.2_x~.js", "@a:b,c;d=e!$&'()*+.js"):
            self.assertEqual("/static/" + name, StaticFileHandler.make_static_url(
                {"static_path": self.root}, name, include_version=False))


class CompressedImageTest(StaticCase):
    def setUp(self):
        super(CompressedImageTest, self).setUp()
        content = io.BytesIO()
        with gzip.GzipFile(fileobj=content, mode="wb") as target:
            target.write(b"<svg xmlns='http://www.w3.org/2000/svg'/>")
        self.content = content.getvalue()

    def describe(self, path):
        response = self.ask(path)
        self.assertEqual((200, self.content), (response.status, response.body))
        return response.headers["Content-Type"], response.headers.get("Content-Encoding")

    def test_b303_svgz_is_an_image_with_a_coding(self):
        for name in ("image.svgz", "IMAGE2.SVGZ"):
            self.write(name, self.content, mtime=self.OLD)
        self.settle()
        for _ in range(2):
            self.assertEqual(("image/svg+xml", "gzip"), self.describe("/static/image.svgz"))
        self.assertEqual(("image/svg+xml", "gzip"), self.describe("/static/IMAGE2.SVGZ"))

    def test_b303_archives_stay_archives(self):
        for name in ("a.tgz", "a.tar.gz", "a.svg.gz", "a.txt.gz"):
            self.write(name, self.content)
            self.assertEqual(("application/gzip", None), self.describe("/static/" + name))

    def test_b303_it_is_not_compressed_again(self):
        self.write("image.svgz", self.content)
        self.serve_files(compress_response=True)
        response = self.ask("/static/image.svgz", Accept_Encoding="gzip")
        self.assertEqual((self.content, "gzip"),
                         (response.body, response.headers.get("Content-Encoding")))
