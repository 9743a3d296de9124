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

from friendserve import locale
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
        for name in os.listdir(self.folder):
            if is_name(name):
                try:
                    status = os.stat(os.path.join(self.folder, name))
                except OSError:
                    # Somebody has taken it away meanwhile, or it is a link to nothing.
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
        if len(os.listdir(self.folder)) >= MAX_FILES:
            raise HTTPError(507, "there are %d files already", MAX_FILES)
        super(StoreHandler, self).prepare()

    def post(self):
        uploads = self.uploads.get("file", ())
        if not uploads:
            raise HTTPError(400, "no file was chosen")
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


def make_name(filename):
    """A name on disk for what a sender calls a file: one that nobody has, and that means nothing
    to any system. No letter is lost of those that are harmless."""
    base = re.split(r"[/\\]", filename)[-1]
    harmless = re.sub(r"[^\w.()+ -]", "_", base, flags=re.UNICODE).strip(". ") or "file"
    # A system may count bytes, 255 of them.
    while len(harmless.encode("utf-8")) > 200:
        harmless = harmless[1:]
    return binascii.hexlify(os.urandom(6)).decode("ascii") + "-" + harmless


is_name = re.compile(r"[0-9a-f]{12}-[^/\\\0]+\Z").match


def shown(name):
    """The name for people."""
    return name[13:]


def make_application(folder, limit):
    locale.load_translations(os.path.join(HERE, "translations"))
    return Application([
        (r"/", ListHandler),
        (r"/store", StoreHandler),
        (r"/delete/([^/]+)", DeleteHandler),
        (r"/files/([0-9a-f]{12}-[^/]+)", FileHandler, {"path": folder}),
    ], folder=folder, limit=limit, xsrf_cookies=True,
        xsrf_cookie_kwargs={"httponly": True, "samesite": "Strict"},
        template_path=os.path.join(HERE, "templates"), static_path=os.path.join(HERE, "static"))


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
    except (Error, OSError) as error:
        sys.exit(str(error))
    make_application(folder, options.limit * 1000000).listen(
        options.port, address=options.address)
    print("The page is at http://%s:%d/ (Ctrl-C ends it); files go to %s"
          % (options.address, options.port, folder))
    sys.stdout.flush()
    try:
        IOLoop.instance().start()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
