"""The documentation is built without a warning, and its links lead somewhere.

Where Sphinx is not installed, there are no such tests.
"""
from __future__ import absolute_import, division, print_function

import importlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

from six.moves import html_parser, urllib

import friendserve
from friendserve.http1connection import HTTP1ConnectionParameters
from friendserve.web.settings import SETTINGS
from tests import ROOT
from tests.docscase import DOCS
from tests.house import table_of_contents
from tests.services import find_program

try:
    import sphinx
except ImportError:
    sphinx = None
else:
    from friendserve.serve.config import OPTIONS

#: Seconds; a build takes about ten.
LIMIT = 240


class Links(html_parser.HTMLParser):
    """What a page links to, and which anchors it has."""
    def __init__(self, body):
        html_parser.HTMLParser.__init__(self)
        self.targets, self.anchors, self.lacking = [], set(), []
        self.feed(body)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if "id" in attrs:
            self.anchors.add(attrs["id"])
        for name in ("href", "src", "data"):
            if name in attrs:
                self.targets.append(attrs[name])
        if tag == "img" and not attrs.get("alt"):
            self.lacking.append(attrs.get("src"))


def wrong_links(pages, files):
    """What leads nowhere: a list of sentences. `pages` are {address: body}, with addresses such as
    "how-to/asyncio/", and `files` are other addresses."""
    parsed = dict((address, Links(body)) for address, body in pages.items())
    found = []
    for address, links in sorted(parsed.items()):
        for target in links.targets:
            if re.match("https?://[a-z0-9.-]+(:[0-9]+)?(/[^ ]*)?$", target):
                continue
            whole = urllib.parse.urljoin("http://docs/" + address, target)
            path, _, anchor = whole[len("http://docs/"):].partition("#")
            if path not in parsed and path not in files:
                found.append("%s: there is no %s" % (address, target))
            elif anchor and anchor not in parsed[path].anchors:
                found.append("%s: there is no anchor %s" % (address, target))
        found.extend("%s: %s has no text for those who do not see it" % (address, image)
                     for image in links.lacking)
    return found


if sphinx is not None and not sys.flags.optimize:
    class BuildTest(unittest.TestCase):
        @classmethod
        def setUpClass(cls):
            cls.folder = tempfile.mkdtemp()
            cls.process = subprocess.Popen(
                [sys.executable, os.path.join(DOCS, "build.py"), "json", "--output", cls.folder],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.PIPE, cwd=ROOT)
            try:
                cls.output = cls.process.communicate(timeout=LIMIT)[0].decode("utf-8")
            finally:
                if cls.process.poll() is None:
                    cls.process.kill()
                    cls.process.communicate()
            cls.pages, cls.files = {}, set()
            for place, _, names in os.walk(cls.folder):
                for name in names:
                    path = os.path.relpath(os.path.join(place, name), cls.folder)
                    cls.files.add(path)
                    if name.endswith(".fjson"):
                        with io.open(os.path.join(place, name), encoding="utf-8") as source:
                            page = json.load(source)
                        if "body" in page:
                            address = re.sub("(^|/)index$", r"\1", path[:-len(".fjson")])
                            cls.pages[address and address.rstrip("/") + "/"] = page

        @classmethod
        def tearDownClass(cls):
            shutil.rmtree(cls.folder)

        def test_b465_no_warnings(self):
            self.assertEqual((0, u""), (self.process.returncode, self.output))

        def test_b465_every_page_of_the_sources(self):
            sources = set()
            for place, _, names in os.walk(DOCS):
                sources.update(os.path.relpath(os.path.join(place, name), DOCS)[:-len(".rst")]
                               for name in names if name.endswith(".rst"))
            built = set(name[:-len(".fjson")] for name in self.files)
            self.assertEqual(set(), sources - built)

        def test_b466_the_reference_has_every_public_name(self):
            doors = [name.rstrip("/").replace("/", ".")
                     for name, _ in table_of_contents(friendserve.__doc__)]
            for door in doors:
                if door in ("protocol", "platform", "platform.pollers"):
                    continue
                page = self.pages["reference/api/%s/" % door]
                anchors = Links(page["body"]).anchors
                try:
                    module = importlib.import_module("friendserve." + door)
                except ImportError:
                    continue        # the package that it is for is not installed
                names = getattr(module, "__all__", None) or [
                    name for name, thing in vars(module).items() if not name.startswith("_")
                    and getattr(thing, "__module__", None) == module.__name__]
                self.assertNotEqual([], names)
                for name in names:
                    self.assertIn("friendserve.%s.%s" % (door, name), anchors)

        def test_b466_a_program_in_the_docstring_of_a_module_is_one_program(self):
            for name, first in (("util", "class "), ("tcpserver", "from friendserve.ioloop ")):
                body = self.pages["reference/api/%s/" % name]["body"]
                program = re.sub("<[^>]+>", "", re.search("(?s)<pre>(.*?)</pre>", body).group(1))
                self.assertEqual(first, program[:len(first)])

        def test_b466_the_reference_has_every_setting_option_and_limit(self):
            def anchors(page):
                return Links(self.pages["reference/%s/" % page]["body"]).anchors
            self.assertLessEqual(set("setting-" + one.name for one in SETTINGS),
                                 anchors("settings"))
            self.assertLessEqual(set("option-" + option[0].replace("_", "-")
                                     for _, options in OPTIONS for option in options),
                                 anchors("serve"))
            self.assertLessEqual(
                set("limit-" + name for name in HTTP1ConnectionParameters.__slots__
                    if name not in ("no_keep_alive", "decompress")), anchors("limits"))

        def test_b465_links_and_anchors(self):
            bodies = dict((address, page["body"]) for address, page in self.pages.items())
            self.assertLessEqual(20, len(bodies))
            self.assertEqual([], wrong_links(bodies, self.files))


def prose(text):
    """The words of a page, without programs, names in code, roles, links and options."""
    text = re.sub(r"(?m)^( *)\.\. code-block::.*\n(?:\1 +.*\n|\n)+", "\n", text)
    text = re.sub(r"::\n\n(?: +.*\n|\n)+", "\n", text)
    text = re.sub(r"(?m)``[^`]+``|:[a-z:]+:`[^`]*`|`[^`]*`_|https?://\S+|^\.\. .*$|^ +:.*$", "",
                  text)
    return sorted(set(re.findall(r"[A-Za-z][A-Za-z']+", text)))


if sphinx is not None and find_program("hunspell"):
    class SpellingTest(unittest.TestCase):
        def test_b465_spelling(self):
            with io.open(os.path.join(DOCS, "words.txt"), encoding="utf-8") as source:
                known = set(source.read().split())
            pages = {}
            for place, _, names in os.walk(DOCS):
                for name in names:
                    if name.endswith(".rst") and os.path.basename(place) != "api":
                        path = os.path.join(place, name)
                        with io.open(path, encoding="utf-8") as source:
                            pages[os.path.relpath(path, DOCS)] = prose(source.read())
            self.assertLessEqual(40, len(pages))
            words = sorted(set(word for page in pages.values() for word in page))
            process = subprocess.Popen(["hunspell", "-d", "en_US", "-l"], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE)
            output = process.communicate("\n".join(words).encode("ascii"))[0].decode("ascii")
            wrong = set(output.split()) - known
            self.assertEqual({}, dict((word, [name for name in sorted(pages)
                                              if word in pages[name]]) for word in wrong))


class WrongLinksTest(unittest.TestCase):
    def test_b465_what_is_wrong_is_found(self):
        pages = {"": '<a href="a/">a</a><a href="b/">b</a><a href="#here">here</a>',
                 "a/": '<h1 id="top">a</h1><a href="../#top">up</a><a href="#top">top</a>'
                       '<img src="../x.svg"><a href="https://example.com/">there</a>'}
        self.assertEqual([
            ": there is no b/", ": there is no anchor #here", "a/: there is no anchor ../#top",
            "a/: ../x.svg has no text for those who do not see it"], wrong_links(pages, {"x.svg"}))


if __name__ == "__main__":
    unittest.main()
