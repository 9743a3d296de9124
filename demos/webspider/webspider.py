"""Reads a site, page by page, and tells which of its links are broken.

    python demos/webspider/webspider.py http://127.0.0.1:8888/

It follows the links of every HTML page, but never to another site, and has a few fetches under
way at a time. What is broken is printed with the pages that lead there. The exit status is 0 when
all is well, 1 when a link is broken, and 2 when the first page cannot be had.
"""
from __future__ import absolute_import, division, print_function

import argparse
import collections
import functools
import sys

from six.moves.html_parser import HTMLParser

from friendserve.httpclient import AsyncHTTPClient, HTTPRequest
from friendserve.ioloop import IOLoop, PeriodicCallback
from friendserve.protocol.urls import join_url, parse_url

#: The largest page that is read, in bytes.
MAX_PAGE = 4 * 1024 * 1024

#: Milliseconds from one line of progress to the next.
PROGRESS_INTERVAL = 200


class Links(HTMLParser):
    """Gathers where the links of a page lead."""

    def __init__(self):
        HTMLParser.__init__(self)
        self.found = []

    def handle_starttag(self, tag, attributes):
        target = dict(attributes).get("href") if tag in ("a", "area") else None
        if target:
            self.found.append(target.strip())


def find_links(base, page):
    """The places of the http links on a page (text) that lies at `base`; unreadable ones as they
    are."""
    parser = Links()
    parser.feed(page)
    places = []
    for target in parser.found:
        place = join_url(base, target)
        if place.lower().startswith(("http:", "https:")):
            try:
                # Without its fragment, which is a place on the page.
                place = parse_url(place).text
            except ValueError:
                pass
            places.append(place)
    return places


class Spider(object):
    """Reads the site of `start` with `concurrency` fetches at a time, `max_pages` pages at most,
    and then calls `on_done()` once.

    `read` is how many pages were read; `broken` has {place: why}; `led_from` has {place: the pages
    that link to it}.
    """

    def __init__(self, start, concurrency, max_pages, on_done):
        self.start_place = parse_url(start).text
        self.origin = parse_url(start).origin
        self.concurrency = concurrency
        self.max_pages = max_pages
        self.on_done = on_done
        self.client = AsyncHTTPClient(force_instance=True, max_clients=concurrency,
                                      max_body_size=MAX_PAGE)
        self.waiting = collections.deque([self.start_place])
        self.led_from = {self.start_place: []}
        self.under_way = 0
        self.read = 0
        self.broken = collections.OrderedDict()

    def begin(self):
        """Fetch the next pages, as many as are allowed at a time."""
        while self.waiting and self.under_way < self.concurrency:
            place = self.waiting.popleft()
            try:
                request = HTTPRequest(place, user_agent="friendserve-webspider")
                self.client.fetch(request, functools.partial(self.on_response, place))
            except ValueError as error:
                self.broken[place] = str(error)
            else:
                self.under_way += 1
        if not self.under_way:
            self.client.close()
            self.on_done()

    def on_response(self, place, response):
        self.under_way -= 1
        self.read += 1
        if response.error:
            self.broken[place] = str(response.error)
        elif parse_url(response.effective_url).origin == self.origin and \
                response.headers.get("Content-Type", "").startswith("text/html"):
            page = response.body.decode("utf-8", "replace")
            for link in find_links(response.effective_url, page):
                self.note(link, place)
        self.begin()

    def note(self, link, page):
        """There is a link on a page."""
        if link in self.led_from:
            if page not in self.led_from[link]:
                self.led_from[link].append(page)
        elif self.is_ours(link) and len(self.led_from) < self.max_pages:
            self.led_from[link] = [page]
            self.waiting.append(link)

    def is_ours(self, link):
        try:
            return parse_url(link).origin == self.origin
        except ValueError:
            # To be told of: it is on a page of this site.
            return True


class Progress(object):
    """One line on a terminal that says how far it is; nothing where there is none."""

    def __init__(self, spider):
        self.spider = spider
        self.timer = PeriodicCallback(self.show, PROGRESS_INTERVAL)
        if sys.stderr.isatty():
            self.timer.start()

    def show(self):
        sys.stderr.write("\r%d read, %d broken, %d to go \x1b[K" % (
            self.spider.read, len(self.spider.broken),
            len(self.spider.waiting) + self.spider.under_way))
        sys.stderr.flush()

    def close(self):
        if self.timer.is_running():
            self.timer.stop()
            sys.stderr.write("\r\x1b[K")


def positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("it has to be 1 or more")
    return number


def parse_arguments():
    parser = argparse.ArgumentParser(
        description="Reads a site, page by page, and tells which of its links are broken.")
    parser.add_argument("url", help="the page to begin with, such as http://127.0.0.1:8888/")
    parser.add_argument("--concurrency", type=positive, default=8, metavar="N",
                        help="fetches at a time (default: 8)")
    parser.add_argument("--max-pages", type=positive, default=1000, metavar="N",
                        help="stop looking for more after so many (default: 1000)")
    options = parser.parse_args()
    try:
        parse_url(options.url)
    except ValueError as error:
        parser.error(str(error))
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
        print("interrupted: what follows is of the pages read so far")
    progress.close()
    print("%d page%s read, %d broken" % (spider.read, "" if spider.read == 1 else "s",
                                         len(spider.broken)))
    if len(spider.led_from) == options.max_pages:
        print("there may be more pages: --max-pages is %d" % options.max_pages)
    for place, reason in spider.broken.items():
        print("%s\n    %s" % (place, reason))
        for page in spider.led_from[place]:
            print("    linked from %s" % page)
    if spider.start_place in spider.broken:
        return 2
    return 1 if spider.broken else 0


if __name__ == "__main__":
    sys.exit(main())
