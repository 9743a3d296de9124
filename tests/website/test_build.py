"""The site as files: every link leads to a file and an anchor that exists, from any folder."""
from __future__ import absolute_import, division, print_function

import io
import json
import os
import re
import unittest

from tests.sitecase import SiteCase, broken_links, build, read_site


class BuildTest(SiteCase):
    def build(self, **options):
        with io.open(os.path.join(self.files, "friendserve.pdf"), "wb") as target:
            target.write(b"12345")
        output = os.path.join(self.folder, "site")
        build.build(output, self.pages, self.files, **options)
        return read_site(output)

    def test_b464_every_link_leads_to_a_file_of_the_site(self):
        files = self.build()
        self.assertEqual([], broken_links(files))
        for name in ("index.html", "de/index.html", "he/downloads.html", "docs/index.html",
                     "docs/how-to/waiting.html", "docs/_images/floors.svg", "static/site.css",
                     "static/search.js", "search.html", "404.html", "files/friendserve.pdf"):
            self.assertIn(name, files)
        # The page for what does not exist is shown at any depth; all others work under any path.
        for name, body in files.items():
            if name.endswith(".html") and name != "404.html":
                self.assertEqual([], re.findall(b'(?:href|src|action)="/[^"]*"', body), name)

    def test_b464_broken_links_are_found(self):
        self.assertEqual([("a/b.html", "c.html"), ("a/b.html", "../d.html#no")], broken_links({
            "a/b.html": b'<a href="c.html"> <a href="../d.html#no"> <a href="../d.html#yes">',
            "d.html": b'<p id="yes">'}))

    def test_b464_a_link_to_a_page_that_is_missing_ends_the_build(self):
        path = os.path.join(self.pages, "index.fjson")
        with io.open(path, "r+b") as target:
            fields = json.loads(target.read().decode("ascii"))
            fields["body"] += '<a href="how-to/wating/">waiting</a>'
            target.seek(0)
            target.write(json.dumps(fields).encode("ascii"))
        with self.assertRaisesRegex(ValueError, "/docs/how-to/wating, which answers 404"):
            self.build()

    def test_what_needs_a_server_becomes_a_note(self):
        files = self.build(base="/friendserve/")
        front = files["index.html"].decode("utf-8")
        self.assertIn("python website/website.py", front)
        self.assertNotIn("<form id=\"say\"", front)
        self.assertNotIn("chat.js", front)
        self.assertIn("search-index.js", files["search.html"].decode("utf-8"))
        self.assertIn('href="/friendserve/static/site.css', files["404.html"].decode("utf-8"))
        script = files["search-index.js"].decode("utf-8")
        index = json.loads(script[len("searchIndex = "):-2])
        self.assertIn("docs/how-to/waiting.html#proxies", [place[0] for place in index["places"]])

    if not hasattr(unittest.TestCase, "assertRaisesRegex"):  # version: py2
        assertRaisesRegex = unittest.TestCase.assertRaisesRegexp


if __name__ == "__main__":
    unittest.main()
