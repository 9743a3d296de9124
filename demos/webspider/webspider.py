"""Reads a site page by page and reports broken links.

    python demos/webspider/webspider.py http://127.0.0.1:8888/

It follows the links of every HTML page, but not those to other sites, and makes several fetches at
a time. Broken links are printed together with the pages that contain them. The exit status is 0 if
there are none, 1 if there are some, and 2 if the first page cannot be fetched.
"""
from __future__ import absolute_import, division, print_function

import argparse
import collections
import functools
import sys

from six.moves.html_parser import HTMLParser
from six.moves.urllib.parse import urldefrag, urljoin, urlsplit

from friendserve.httpclient import AsyncHTTPClient, HTTPRequest
from friendserve.ioloop import IOLoop, PeriodicCallback

#: The largest page that is read, in bytes.
MAX_PAGE = 4 * 1024 * 1024

#: Milliseconds between two updates of the progress line.
PROGRESS_INTERVAL = 200

DEFAULT_PORTS = {"http": 80, "https": 443}


class Links(HTMLParser):
    """Collects the targets of a page's links in `found`."""

    def __init__(self):
        HTMLParser.__init__(self)
        self.found = []

    def handle_starttag(self, tag, attributes):
        target = dict(attributes).get("href") if tag in ("a", "area") else None
        if target:
            self.found.append(target.strip())


def find_links(base, page):
    """The URLs, without fragments, of the http links on a page (text) whose URL is `base`. Links
    that are not valid URLs are included as they are."""
    parser = Links()
    parser.feed(page)
    urls = []
    for target in parser.found:
        try:
            url = urldefrag(urljoin(base, target))[0]
        except ValueError:
            url = target
        if url.lower().startswith(("http:", "https:")):
            urls.append(url)
    return urls


def site_of(url):
    """(scheme, host, port). Raises ValueError for anything but an http or https URL."""
    parts = urlsplit(url)
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise ValueError("must be an http:// or https:// URL")
    return parts.scheme, parts.hostname, parts.port or DEFAULT_PORTS[parts.scheme]


class Spider(object):
    """Reads the site of `start`, with `concurrency` fetches at a time and up to `max_pages` pages,
    and then calls `on_done()` once.

    `read` is the number of pages read so far, `broken` maps the URLs of broken links to the
    reason, and `linked_from` maps each URL to the pages that link to it.
    """

    def __init__(self, start, concurrency, max_pages, on_done):
        start = urldefrag(start)[0]
        parts = urlsplit(start)
        self.start = start if parts.path or parts.query else start + "/"
        self.site = site_of(start)
        self.concurrency = concurrency
        self.max_pages = max_pages
        self.on_done = on_done
        self.client = AsyncHTTPClient(force_instance=True, max_clients=concurrency,
                                      max_body_size=MAX_PAGE)
        self.waiting = collections.deque([self.start])
        self.linked_from = {self.start: []}
        self.active = 0
        self.read = 0
        self.broken = collections.OrderedDict()

    def begin(self):
        """Start fetches until `concurrency` are active; finish if there is nothing left to do."""
        while self.waiting and self.active < self.concurrency:
            url = self.waiting.popleft()
            try:
                request = HTTPRequest(url, user_agent="friendserve-webspider")
                self.client.fetch(request, functools.partial(self.on_response, url))
            except ValueError as error:
                self.broken[url] = str(error)
            else:
                self.active += 1
        if not self.active:
            self.client.close()
            self.on_done()

    def on_response(self, url, response):
        self.active -= 1
        self.read += 1
        if response.error:
            self.broken[url] = str(response.error)
        elif site_of(response.effective_url) == self.site and \
                response.headers.get("Content-Type", "").startswith("text/html"):
            page = response.body.decode("utf-8", "replace")
            for link in find_links(response.effective_url, page):
                self.on_link(link, url)
        self.begin()

    def on_link(self, link, page):
        if link in self.linked_from:
            if page not in self.linked_from[link]:
                self.linked_from[link].append(page)
        elif self.is_here(link) and len(self.linked_from) < self.max_pages:
            self.linked_from[link] = [page]
            self.waiting.append(link)

    def is_here(self, link):
        """Whether a link leads to this site."""
        try:
            return site_of(link) == self.site
        except ValueError:
            # Report it: it is on a page of this site.
            return True


class Progress(object):
    """A progress line on standard error, if that is a terminal."""

    def __init__(self, spider):
        self.spider = spider
        self.timer = PeriodicCallback(self.show, PROGRESS_INTERVAL)
        if sys.stderr.isatty():
            self.timer.start()

    def show(self):
        sys.stderr.write("\r%d read, %d broken, %d to go \x1b[K" % (
            self.spider.read, len(self.spider.broken),
            len(self.spider.waiting) + self.spider.active))
        sys.stderr.flush()

    def close(self):
        if self.timer.is_running():
            self.timer.stop()
            sys.stderr.write("\r\x1b[K")


def positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def parse_arguments():
    parser = argparse.ArgumentParser(
        description="Read a site page by page and report broken links.")
    parser.add_argument("url", help="the page to begin with, such as http://127.0.0.1:8888/")
    parser.add_argument("--concurrency", type=positive, default=8, metavar="N",
                        help="fetches at a time (default: 8)")
    parser.add_argument("--max-pages", type=positive, default=1000, metavar="N",
                        help="read at most N pages (default: 1000)")
    options = parser.parse_args()
    try:
        site_of(options.url)
    except ValueError as error:
        parser.error("argument url: %s" % error)
    return options


def main():
    options = parse_arguments()
    loop = IOLoop.instance()
    spider = Spider(options.url, options.concurrency, options.max_pages, loop.stop)
    progress = Progress(spider)
    loop.add_callback(spider.begin)
    try:
        loop.start()
    except KeyboardInterrupt:
        print("interrupted; the results so far:")
    progress.close()
    print("%d page%s read, %d broken" % (spider.read, "" if spider.read == 1 else "s",
                                         len(spider.broken)))
    if len(spider.linked_from) == options.max_pages:
        print("there may be more pages: --max-pages is %d" % options.max_pages)
    for url, reason in spider.broken.items():
        print("%s\n    %s" % (url, reason))
        for page in spider.linked_from[url]:
            print("    linked from %s" % page)
    if spider.start in spider.broken:
        return 2
    return 1 if spider.broken else 0


if __name__ == "__main__":
    sys.exit(main())
