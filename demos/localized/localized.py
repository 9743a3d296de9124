"""One page in four languages, chosen by the browser's settings or by the reader.

    python demos/localized/localized.py --port=8888

The translations are in translations/, one CSV file per language. The texts in the program and
its templates are English.
"""
from __future__ import absolute_import, division, print_function

import os
import sys
import time

from friendserve import locale
from friendserve.ioloop import IOLoop
from friendserve.log import define_logging_options
from friendserve.options import Error, OptionParser
from friendserve.web import Application, HTTPError, RequestHandler, is_safe_next

HERE = os.path.dirname(os.path.abspath(__file__))
LANGUAGES = ("en_US", "de", "he", "ja")

#: Guests of the party; the names are made up.
GUESTS = ("Ada", "Noa", "Hana", "Emil")


class LocalizedHandler(RequestHandler):
    def set_default_headers(self):
        self.set_header("Content-Security-Policy", "default-src 'none'; style-src 'self'; "
                        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
        # The same URL has different content in each language.
        self.set_header("Vary", "Accept-Language, Cookie")

    def get_user_locale(self):
        code = self.get_cookie("language")
        return locale.get(code) if code in LANGUAGES else None


class PageHandler(LocalizedHandler):
    def get(self):
        try:
            count = int(self.get_argument("guests", "3"))
        except ValueError:
            count = -1
        if not 0 <= count <= len(GUESTS):
            raise HTTPError(400, "guests must be a number from 0 to %d", len(GUESTS))
        seconds = time.time()
        moments = [seconds - age for age in (90, 5 * 3600, 30 * 3600, 40 * 86400)]
        self.render("page.html", count=count, guests=GUESTS[:count], most=len(GUESTS),
                    moments=moments, languages=[locale.get(code) for code in LANGUAGES])


class LanguageHandler(LocalizedHandler):
    def post(self):
        code = self.get_argument("language")
        if code not in LANGUAGES:
            raise HTTPError(400, "language must be one of %s", ", ".join(LANGUAGES))
        self.set_cookie("language", code, expires_days=365, samesite="Lax")
        back = self.get_argument("next", "/")
        self.redirect(back if is_safe_next(back) else "/")


def make_application():
    locale.load_translations(os.path.join(HERE, "translations"))
    return Application([(r"/", PageHandler), (r"/language", LanguageHandler)],
                       template_path=os.path.join(HERE, "templates"),
                       static_path=os.path.join(HERE, "static"), xsrf_cookies=True)


def main():
    options = OptionParser()
    options.define("port", default=8888, help="the port to listen on")
    options.define("address", default="127.0.0.1",
                   help="the address to listen on; 0.0.0.0 lets other machines connect")
    define_logging_options(options)
    try:
        options.parse_program(arguments=False)
        make_application().listen(options.port, address=options.address)
    except Error as error:
        sys.exit(str(error))
    except EnvironmentError as error:
        sys.exit("cannot listen on port %d: %s" % (options.port, error))
    print("Open http://%s:%d/ (Ctrl-C to stop)" % (options.address, options.port))
    sys.stdout.flush()
    try:
        IOLoop.instance().start()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
