"""python -m friendserve.porting rewrite: the imports change, and not one byte besides."""
from __future__ import absolute_import, division, print_function

import os
import stat
import subprocess
import sys
import unittest

from friendserve.porting import rewriting
from friendserve.porting.editor import Source
from friendserve.porting.rewriting import rewrite
from friendserve.porting.templates import rename_in_template
from tests import missing
from tests.portingcase import PortingCase

#: Programs before and after.
PROGRAMS = (
    ("Windows", b"import tornado.web\r\n\r\nclass A(tornado.web.RequestHandler):\r\n\tpass\r\n",
     b"import friendserve.web\r\n\r\nclass A(friendserve.web.RequestHandler):\r\n\tpass\r\n"),
    ("a byte-order mark", b"\xef\xbb\xbfimport tornado # \xc3\xa9\n",
     b"\xef\xbb\xbfimport friendserve # \xc3\xa9\n"),
    ("latin-1", b"# -*- coding: latin-1 -*-\nname = '\xe9'; from tornado import web # \xff\n",
     b"# -*- coding: latin-1 -*-\nname = '\xe9'; from friendserve import web # \xff\n"),
    ("tabs", b"if 1:\n\tif 2:\n\t\timport\ttornado.web\n\t\ttornado . web\n",
     b"if 1:\n\tif 2:\n\t\timport\tfriendserve.web\n\t\tfriendserve . web\n"),
    ("a continued import",
     b"from \\\n  tornado.web \\\n  import (Application, # one\n    HTTPError,\n)\n",
     b"from \\\n  friendserve.web \\\n  import (Application, # one\n    HTTPError,\n)\n"),
    ("an optional import",
     b"try:\n    import tornado.ioloop\nexcept ImportError:\n    tornado = None\n",
     b"try:\n    import friendserve.ioloop\nexcept ImportError:\n    friendserve = None\n"),
    ("Python 2", b"import tornado\nprint 'tornado', `tornado.web`\nexec 'import tornado'\n",
     b"import friendserve\nprint 'tornado', `friendserve.web`\nexec 'import tornado'\n"),
    ("no line end", b"import tornado.web as tornado", b"import friendserve.web as tornado"),
)

#: What stays.
STRANGERS = (
    b"'import tornado'\n\"\"\"\nimport tornado.web\n\"\"\"\n# import tornado\n",
    b"from . import tornado\nfrom .tornado import web\ntornado.web\n",
    b"import tornadoes, my.tornado\nx.tornado.web\n", b"", b"\r", b"\x0c\n",
    b"tornado.web = 1\n",
)


#: Templates before and after.
TEMPLATES = (
    (b"{% import tornado.escape %}\r\n\t{{tornado.escape.linkify('tornado') }} tornado.escape\n",
     b"{% import friendserve.escape %}\r\n\t{{friendserve.escape.linkify('tornado') }} "
     b"tornado.escape\n"),
    (b"{%from tornado.escape import utf8%}{{ tornado }}{% if utf8(tornado) %}{% end %}",
     b"{%from friendserve.escape import utf8%}{{ tornado }}{% if utf8(tornado) %}{% end %}"),
    (b"\xe9 {% import tornado %}{% raw tornado.x['\xe9'] %}{# tornado #}{{! tornado }}{% for a in\n"
     b" tornado.y %}{% end %}{{ a.tornado }}",
     b"\xe9 {% import friendserve %}{% raw friendserve.x['\xe9'] %}{# tornado #}{{! tornado }}"
     b"{% for a in\n friendserve.y %}{% end %}{{ a.tornado }}"),
    (b"{% import my.tornado, os %}{{ tornado }} {{ ( }} {% %}",
     b"{% import my.tornado, os %}{{ tornado }} {{ ( }} {% %}"),
)


class TemplateTest(unittest.TestCase):
    def test_names_in_directives(self):
        for before, after in TEMPLATES:
            self.assertEqual(after, rename_in_template(before, "tornado", "friendserve")[0])
            self.assertEqual((after, 0), rename_in_template(after, "tornado", "friendserve"))


class RewriteTest(unittest.TestCase):
    longMessage = True

    def test_only_names_change(self):
        for name, before, after in PROGRAMS:
            self.assertEqual(after, rewrite(Source(before)), name)

    def test_a_second_time_changes_nothing(self):
        for name, _, after in PROGRAMS:
            self.assertEqual(after, rewrite(Source(after)), name)

    def test_what_stays(self):
        for data in STRANGERS:
            self.assertEqual(data, rewrite(Source(data)))


class CommandTest(PortingCase):
    def setUp(self):
        super(CommandTest, self).setUp()
        self.write("app/old.py", "import tornado.web\nx = 1\n")
        self.write("app/other.py", "import os\n")
        for name in ("old.py", "other.py"):
            os.utime(os.path.join(self.folder, "app", name), (1000, 1000))

    def status(self, path):
        return os.stat(os.path.join(self.folder, path))

    def test_a_diff_by_default(self):
        self.assertEqual((0, "--- app/old.py\n+++ app/old.py\n@@ -1,2 +1,2 @@\n"
                             "-import tornado.web\n+import friendserve.web\n x = 1\n"),
                         self.run_command("rewrite", "app"))
        self.assertEqual(b"import tornado.web\nx = 1\n", self.read("app/old.py"))
        self.assertEqual(1000, self.status("app/old.py").st_mtime)

    def test_the_diff_can_be_applied(self):
        for number, (_, before, after) in enumerate(PROGRAMS):
            self.write_bytes("program.py", before)
            process = subprocess.Popen(
                [sys.executable, "-m", "friendserve.porting", "rewrite", "program.py"],
                stdout=subprocess.PIPE, cwd=self.folder,
                env=dict(os.environ, PYTHONPATH=os.path.dirname(os.path.dirname(
                    os.path.dirname(os.path.abspath(__file__))))))
            diff = process.communicate()[0]
            if b"\xe9" in before:
                # In the diff it is UTF-8.
                continue
            self.write_bytes("patch", diff)
            subprocess.check_call(["git", "apply", "-p0", "--whitespace=nowarn", "patch"],
                                  cwd=self.folder)
            self.assertEqual(after, self.read("program.py"), number)

    def test_writing(self):
        path = os.path.join(self.folder, "app", "old.py")
        os.chmod(path, 0o750)
        self.assertEqual((0, "app/old.py is rewritten\n"),
                         self.run_command("rewrite", "app", "--write"))
        self.assertEqual(b"import friendserve.web\nx = 1\n", self.read("app/old.py"))
        self.assertEqual(0o750, stat.S_IMODE(self.status("app/old.py").st_mode))
        self.assertEqual(["old.py", "other.py"], sorted(os.listdir(os.path.dirname(path))))
        written = self.status("app/old.py").st_mtime
        self.assertEqual((0, ""), self.run_command("rewrite", "app", "--write"))
        self.assertEqual(written, self.status("app/old.py").st_mtime)
        self.assertEqual(1000, self.status("app/other.py").st_mtime)

    def test_templates_too(self):
        self.write("app/page.html", "{% import tornado.escape %}")
        self.write("app/page.pdf", "{% import tornado.escape %}")
        self.run_command("rewrite", "app", "--write")
        self.assertEqual(b"{% import friendserve.escape %}", self.read("app/page.html"))
        self.assertEqual(b"{% import tornado.escape %}", self.read("app/page.pdf"))

    def test_a_link_stays_one(self):
        os.symlink("old.py", os.path.join(self.folder, "app", "link.py"))
        self.run_command("rewrite", "app/link.py", "--write")
        self.assertTrue(os.path.islink(os.path.join(self.folder, "app", "link.py")))
        self.assertIn(b"friendserve", self.read("app/old.py"))

    def test_a_file_that_cannot_be_read_is_left_alone(self):
        self.write_bytes("app/bad.py", b"import tornado\nx = '\xff'\n")
        status, output = self.run_command("rewrite", "app", "--write")
        self.assertEqual(1, status)
        self.assertIn("bad.py cannot be decoded", output)
        self.assertIn("app/old.py is rewritten", output)
        self.assertIn(b"import tornado\n", self.read("app/bad.py"))


class GitTest(PortingCase):
    def setUp(self):
        super(GitTest, self).setUp()
        self.write("app/old.py", "import tornado.web\n")
        self.write("other.txt", "text")
        self.git("init", "-q")
        self.git("add", ".")
        self.git("-c", "user.name=A", "-c", "user.email=a@b", "commit", "-qm", "all")

    def git(self, *arguments):
        subprocess.check_call(("git",) + arguments, cwd=self.folder)

    def assert_refused(self):
        status, output = self.run_command("rewrite", "app", "--write")
        self.assertEqual(2, status)
        self.assertEqual(2, len(output.splitlines()), output)
        self.assertIn("--force", output)
        self.assertIn(b"import tornado", self.read("app/old.py"))
        self.assertEqual(0, self.run_command("rewrite", "app")[0])

    def test_a_clean_tree(self):
        self.write("unknown.txt", "")
        self.assertEqual(0, self.run_command("rewrite", "app", "--write")[0])
        self.assertEqual(b"import friendserve.web\n", self.read("app/old.py"))

    def test_changes_are_not_buried(self):
        self.write("other.txt", "changed")
        self.assert_refused()
        self.assertEqual(0, self.run_command("rewrite", "app", "--write", "--force")[0])
        self.assertEqual(b"import friendserve.web\n", self.read("app/old.py"))

    def test_a_file_that_git_does_not_know(self):
        self.git("rm", "-q", "--cached", "app/old.py")
        self.git("-c", "user.name=A", "-c", "user.email=a@b", "commit", "-qm", "none")
        self.assert_refused()


class WithoutFissixTest(PortingCase):
    def test_it_says_what_to_install(self):
        self.write("fissix.py", "raise ImportError()")
        self.write("old.py", "import tornado\n")
        status, output = self.run_command("rewrite", "old.py", "--python3", "--write")
        self.assertEqual(2, status)
        self.assertEqual(2, len(output.splitlines()), output)
        self.assertIn("pip install friendserve[py3]", output)
        self.assertEqual(b"import tornado\n", self.read("old.py"))


if sys.version_info >= (3, 8):
    #: Programs for Python 2, and what they become.
    OLD = (
        ("print 'x', `y`\nimport urllib2, tornado\n",
         "print('x', repr(y))\nimport urllib.request, urllib.error, urllib.parse, friendserve\n"),
        ("x = raw_input()", "x = input()"),
        ("import sys\nprint >>sys.stderr, 'x'\n", "import sys\nprint('x', file=sys.stderr)\n"),
        ("print('%s' % x)\nd.has_key(1)\r\n", "print('%s' % x)\n1 in d\r\n"),
        ("print (1, 2)\nprint\nprint 3\n", "print((1, 2))\nprint()\nprint(3)\n"),
        ("for k, v in d.iteritems(): pass\nm = map(f, d.keys())\n",
         "for k, v in d.items(): pass\nm = list(map(f, list(d.keys())))\n"),
        ("try: pass\nexcept E, e: raise F, 'x'\n", "try: pass\nexcept E as e: raise F('x')\n"),
        ("# comment  \nx = unicode(u'\xe9')", "# comment  \nx = str('\xe9')"),
        ("", ""),
        # Nothing in them is of Python 2 only.
        ("print(d.items())\nx = u'x'\n", "print(d.items())\nx = u'x'\n"),
        ("import urllib.parse\ny = input()\n", "import urllib.parse\ny = input()\n"),
    )

    @unittest.skipUnless(rewriting.refactor, missing("fissix"))
    class Python3Test(unittest.TestCase):
        longMessage = True

        def test_from_python_2(self):
            for before, after in OLD:
                self.assertEqual(after.encode("utf-8"),
                                 rewrite(Source(before.encode("utf-8")), python3=True))

        def test_a_second_time_changes_nothing(self):
            for _, after in OLD:
                data = after.encode("utf-8")
                self.assertEqual(data, rewrite(Source(data), python3=True))

        def test_encodings_and_line_ends_stay(self):
            self.assertEqual(b"# coding: latin-1\r\nprint('\xe9')\r\n", rewrite(
                Source(b"# coding: latin-1\r\nprint '\xe9'\r\n"), python3=True))


if __name__ == "__main__":
    unittest.main()
