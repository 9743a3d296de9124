"""Files of any size, from a browser to this disk, with a progress bar for each.

    python demos/upload/upload.py --port=8888 --folder=uploads

They go to disk as they come, so that a film of many gigabytes takes no more memory than a note.
Without JavaScript the form works too. Whoever can open the page can put files here: it listens
on this machine alone unless you say otherwise.
"""
from __future__ import absolute_import, division, print_function

import binascii
import os
import re
import sys
import time
import unicodedata

from friendserve import locale
from friendserve.escape import to_unicode
from friendserve.ioloop import IOLoop
from friendserve.log import define_logging_options
from friendserve.options import Error, OptionParser
from friendserve.web import Application, HTTPError, RequestHandler, StaticFileHandler, UploadHandler

HERE = os.path.dirname(os.path.abspath(__file__))
MAX_FILES = 1000


class Page(object):
    """What all pages have in common."""
    def set_default_headers(self):
        self.set_header("Content-Security-Policy", "default-src 'none'; style-src 'self'; "
                        "script-src 'self'; connect-src 'self'; form-action 'self'; "
                        "base-uri 'none'; frame-ancestors 'none'")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Vary", "Accept-Language")

    @property
    def folder(self):
        return self.settings["folder"]


class ListHandler(Page, RequestHandler):
    def get(self):
        files = []
        for name in names(self.folder):
            try:
                status = os.stat(os.path.join(self.folder, name))
                to_unicode(name).encode("utf-8")
            except (OSError, UnicodeError):
                # Somebody has taken it away meanwhile, it is a link to nothing, or its name is
                # in another coding.
                continue
            files.append((status.st_mtime, name, status.st_size))
        self.set_header("Cache-Control", "no-store")
        self.render("page.html", files=sorted(files, reverse=True), shown=shown, size=self.size,
                    limit=self.settings["limit"])

    def size(self, count):
        """A number of bytes as people say it."""
        for unit in ("B", "kB", "MB"):
            if count < 1000:
                break
            count /= 1000
        else:
            unit = "GB"
        text = "%.1f" % count if count < 100 else "%d" % count
        return re.sub(r"\.0\Z", "", text) + u"\xa0" + unit


class StoreHandler(Page, UploadHandler):
    def initialize(self):
        self.upload_folder = self.folder
        # The parts have heads of their own.
        self.max_upload_size = self.settings["limit"] + 65536

    def prepare(self):
        self.check_room(1)
        super(StoreHandler, self).prepare()

    def check_room(self, count):
        if len(names(self.folder)) + count > MAX_FILES:
            raise HTTPError(507, "more than %d files", MAX_FILES)

    def post(self):
        uploads = self.uploads.get("file", ())
        if not uploads:
            raise HTTPError(400, "no file was chosen")
        # Others may have come meanwhile.
        self.check_room(len(uploads))
        for upload in uploads:
            upload.move_to(os.path.join(self.folder, make_name(upload.filename)))
        self.redirect("/")


class DeleteHandler(Page, RequestHandler):
    def post(self, name):
        if not is_name(name):
            raise HTTPError(404)
        try:
            os.remove(os.path.join(self.folder, name))
        except OSError:
            # Somebody else was faster.
            pass
        self.redirect("/")


class FileHandler(StaticFileHandler):
    """The files, to be saved and not to be shown: a page among them must not speak for this
    site."""
    def set_extra_headers(self, path):
        self.set_header("Content-Type", "application/octet-stream")
        self.set_header("Content-Disposition", "attachment")
        self.set_header("Content-Security-Policy", "sandbox; default-src 'none'")
        self.set_header("X-Content-Type-Options", "nosniff")


def make_name(filename, coding=sys.getfilesystemencoding()):
    """A name on disk for what a sender calls a file: one that nobody has, and that means nothing
    to any system. No letter is lost of those that are harmless, and that names can have here."""
    base = unicodedata.normalize("NFC", re.split(r"[/\\]", filename)[-1])
    harmless = u"".join(one if is_harmless(one) else u"_" for one in base).strip(u". ") or u"file"
    # A system may count bytes, 255 of them.
    harmless = harmless.encode("utf-8")[-200:].decode("utf-8", "ignore")
    try:
        harmless.encode(coding)
    except UnicodeError:
        harmless = re.sub(u"[^ -~]", u"_", harmless)
    return binascii.hexlify(os.urandom(6)).decode("ascii") + "-" + harmless


def is_harmless(letter):
    """Letters, marks, digits and symbols of all scripts, and what joins them."""
    kind = unicodedata.category(letter)
    return kind[0] in "LMNS" and letter not in u"<>|$^`" or letter in u".,()+ -_\u200c\u200d" \
        or kind == "Cs" and sys.maxunicode == 0xffff


is_name = re.compile(r"[0-9a-f]{12}-[^/\\\0]+\Z").match


def names(folder):
    """The files of the folder that came in this way."""
    return [name for name in os.listdir(folder) if is_name(name)]


def clean(folder):
    """Delete what was on its way when a server was killed, a day ago or earlier."""
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if name.startswith("upload-") and os.path.getmtime(path) < time.time() - 86400:
            os.remove(path)


def shown(name):
    """The name for people."""
    return name[13:]


#: The names of this machine for itself.
LOOPBACK = r"(?:localhost|127\.0\.0\.1|\[::1\])"


def make_application(folder, limit, hosts=".*"):
    """`hosts` is a pattern: other names are not answered, so that no page of a stranger reaches a
    server of this machine alone by having its own name lead here."""
    locale.load_translations(os.path.join(HERE, "translations"))
    application = Application(
        folder=folder, limit=limit, xsrf_cookies=True,
        xsrf_cookie_kwargs={"httponly": True, "samesite": "Strict"},
        template_path=os.path.join(HERE, "templates"), static_path=os.path.join(HERE, "static"))
    application.add_handlers(hosts, [
        (r"/", ListHandler),
        (r"/store", StoreHandler),
        (r"/delete/([^/]+)", DeleteHandler),
        (r"/files/([0-9a-f]{12}-[^/]+)", FileHandler, {"path": folder}),
    ])
    return application


def main():
    options = OptionParser()
    options.define("port", default=8888, help="where to listen")
    options.define("address", default="127.0.0.1", help="0.0.0.0 lets your network in")
    options.define("folder", default="uploads", help="where the files go; it is made if need be")
    options.define("limit", default=1200, help="megabytes that may come at a time")
    define_logging_options(options)
    try:
        options.parse_command_line()
        folder = os.path.abspath(options.folder)
        if not os.path.isdir(folder):
            os.makedirs(folder)
        clean(folder)
    except (Error, OSError) as error:
        sys.exit(str(error))
    is_private = options.address in ("127.0.0.1", "::1", "localhost")
    application = make_application(folder, options.limit * 1000000,
                                   LOOPBACK if is_private else ".*")
    try:
        application.listen(options.port, address=options.address)
    except EnvironmentError as error:
        sys.exit("cannot listen on port %d: %s" % (options.port, error))
    print("The page is at http://%s:%d/ (Ctrl-C ends it); files go to %s"
          % (options.address, options.port, folder))
    sys.stdout.flush()
    try:
        IOLoop.instance().start()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
