"""Uploads files of any size from a browser to this machine, with a progress bar for each.

    python demos/upload/upload.py --port=8888 --folder=uploads

Files are written to disk as they arrive, so a film of many gigabytes takes no more memory than a
note. The form also works without JavaScript. Anyone who can open the page can store files: by
default the server listens on this machine only.
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
    """The headers of all pages, and the folder of the files."""
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
                # The file was deleted in the meantime, is a broken link, or its name is in another
                # encoding.
                continue
            files.append((status.st_mtime, name, status.st_size))
        self.set_header("Cache-Control", "no-store")
        self.render("page.html", files=sorted(files, reverse=True), shown=shown, size=self.size,
                    limit=self.settings["limit"])

    def size(self, count):
        """A number of bytes in readable form, such as "1.5 MB", or "1,5 MB" in some languages."""
        for unit in ("B", "kB", "MB"):
            if count < 1000:
                break
            count /= 1000
        else:
            unit = "GB"
        text = "%.1f" % count if count < 100 else "%d" % count
        # Languages that separate thousands by a comma use a decimal point.
        point = "." if self.locale.friendly_number(1000) in (u"1,000", u"1000") else ","
        return re.sub(r"\.0\Z", "", text).replace(".", point) + u"\xa0" + unit


class StoreHandler(Page, UploadHandler):
    def initialize(self):
        self.upload_folder = self.folder
        # Each part of the form also has a head.
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
        # Other uploads may have ended in the meantime.
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
            # The file was already deleted.
            pass
        self.redirect("/")


class FileHandler(StaticFileHandler):
    """Serves the files for download only: an uploaded page must not run as part of this site."""
    def set_extra_headers(self, path):
        self.set_header("Content-Type", "application/octet-stream")
        self.set_header("Content-Disposition", "attachment")
        self.set_header("Content-Security-Policy", "sandbox; default-src 'none'")
        self.set_header("X-Content-Type-Options", "nosniff")


def make_name(filename, coding=sys.getfilesystemencoding()):
    """A new file name for an upload, unique and without a special meaning on any system. It keeps
    all harmless characters of `filename` that the file system's encoding allows."""
    base = unicodedata.normalize("NFC", re.split(r"[/\\]", filename)[-1])
    harmless = u"".join(one if is_harmless(one) else u"_" for one in base).strip(u". ") or u"file"
    # Many file systems limit names to 255 bytes.
    harmless = harmless.encode("utf-8")[-200:].decode("utf-8", "ignore")
    try:
        harmless.encode(coding)
    except UnicodeError:
        harmless = re.sub(u"[^ -~]", u"_", harmless)
    return binascii.hexlify(os.urandom(6)).decode("ascii") + "-" + harmless


def is_harmless(letter):
    """Whether a character is a letter, mark, digit or symbol of any script, or joins them."""
    kind = unicodedata.category(letter)
    return kind[0] in "LMNS" and letter not in u"<>|$^`" or letter in u".,()+ -_\u200c\u200d" \
        or kind == "Cs" and sys.maxunicode == 0xffff


is_name = re.compile(r"[0-9a-f]{12}-[^/\\\0]+\Z").match


def names(folder):
    """The uploaded files in the folder."""
    return [name for name in os.listdir(folder) if is_name(name)]


def clean(folder):
    """Delete unfinished uploads that are more than a day old; a killed server leaves them."""
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if name.startswith("upload-") and os.path.getmtime(path) < time.time() - 86400:
            os.remove(path)


def shown(name):
    """A file's name without the prefix that makes it unique."""
    return name[13:]


#: Host names that mean this machine.
LOOPBACK = r"(?:localhost|127\.0\.0\.1|\[::1\])"


def make_application(folder, limit, hosts=".*"):
    """The application. `hosts` is a pattern for the Host header; other hosts get 404, so that a
    web site whose name resolves to 127.0.0.1 (DNS rebinding) cannot reach a private server."""
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
    options.define("port", default=8888, help="the port to listen on")
    options.define("address", default="127.0.0.1",
                   help="the address to listen on; 0.0.0.0 lets other machines connect")
    options.define("folder", default="", help="where to store the files; created if it is missing "
                   "(default: friendserve-uploads in your home folder)")
    options.define("limit", default=1200, help="the largest upload, in megabytes")
    define_logging_options(options)
    try:
        options.parse_program(arguments=False)
        folder = os.path.abspath(
            options.folder or os.path.expanduser("~/friendserve-uploads"))
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
        sys.exit("upload.py: %s" % error.strerror)
    print("Open http://%s:%d/ (Ctrl-C to stop); files go to %s"
          % (options.address, options.port, folder))
    sys.stdout.flush()
    try:
        IOLoop.instance().start()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
