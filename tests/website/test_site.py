# coding: utf-8
"""The project's site over HTTP: pages in four languages, documentation, search, errors."""
from __future__ import absolute_import, division, print_function

import io
import json
import os
import re
import unittest

from tests.sitecase import SiteCase, website

LANGUAGES = ("", "/de", "/ja", "/he")


class SiteTest(SiteCase):
    def test_b460_short_pages_in_every_language(self):
        self.serve()
        titles = set()
        for number, language in enumerate(LANGUAGES):
            for page in ("/", "/demos", "/downloads"):
                answer = self.ask(language + page)
                self.assertEqual(200, answer.status, language + page)
                self.assertEqual(
                    (language[1:] or "en", "rtl" if language == "/he" else "ltr"),
                    re.search('<html lang="(.*)" dir="(.*)">', answer.text).groups())
                self.assertEqual(
                    ["/" if not one and page == "/" else one + page for one in LANGUAGES],
                    re.findall('<a href="([^"]+)" lang="', answer.text))
                titles.add(re.search("<h1>(.*)</h1>", answer.text).group(1))
        # Demos and downloads have the same names in German.
        self.assertEqual(10, len(titles))

    def test_b460_every_text_is_translated(self):
        self.serve()
        # What the templates and lists pass to translate, as the locales know it.
        texts = set()
        for folder, _, names in os.walk(website.HERE):
            for name in names:
                if name.endswith(".html"):
                    with io.open(os.path.join(folder, name), encoding="utf-8") as source:
                        texts.update(re.findall(r'\b_\("([^"]+)"\)', source.read()))
        texts.update(text for _, text in website.listing.CONTENTS)
        texts.update(demo.text for demo in website.listing.DEMOS)
        self.assertGreater(len(texts), 60)
        for code in ("de", "ja", "he"):
            translate = website.locale.get(code).translate
            # These are the same in German.
            same = [text for text in texts if translate(text) == text and text not in (
                "Demos", "Downloads")]
            self.assertEqual([], sorted(same), code)

    def test_the_front_page_shows_programs_that_are_in_the_source(self):
        self.serve()
        text = re.sub("<[^>]+>", "", self.ask("/").text).replace("&quot;", '"')
        self.assertIn("class Hello(RequestHandler):", text)
        self.assertIn('Application([("/", Hello)]).run(options.port)', text)
        self.assertIn("self.room.feed.wait(", text)

    def test_pages_bring_nothing_from_elsewhere(self):
        self.serve()
        for path in ("/", "/demos", "/docs/", "/search?q=x"):
            answer = self.ask(path)
            self.assertIn("default-src 'none'", answer.headers["Content-Security-Policy"])
            self.assertEqual([], re.findall(r'(?:src|<link[^>]* href)="(?!/)[^"]*"', answer.text))
            self.assertNotIn(" style=", answer.text)

    def test_errors_have_the_design_of_the_site(self):
        self.serve()
        for path in ("/nothing", "/docs/nothing", "/fr/", "/docs/_images/nothing.svg"):
            answer = self.ask(path)
            self.assertEqual(404, answer.status, path)
            if "_images" not in path:
                self.assertIn("There is no page here.", answer.text)
                self.assertIn("site.css", answer.text)

    def test_files_to_download_are_listed_with_their_digests(self):
        with io.open(os.path.join(self.files, "friendserve.pdf"), "wb") as target:
            target.write(b"12345")
        self.serve()
        answer = self.ask("/downloads")
        self.assertIn('<a href="/files/friendserve.pdf"', answer.text)
        self.assertIn("5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5",
                      answer.text)
        self.assertEqual("12345", self.ask("/files/friendserve.pdf").text)


class ChartTest(SiteCase):
    def read(self, **changes):
        record = {
            "series": ["bare", "varied"], "rounds": 5, "date": "2026-11-29", "cores": 2,
            "processor": "A chip", "machine": "Linux", "python": "CPython 3.11.7",
            "versions": {"friendserve": "0.9.0", "slow": "1.2"},
            "rows": [
                {"label": "bare epoll loop", "figures": [90000, 80000], "busy": [1, 1]},
                {"label": "slow", "figures": [9000, 2500], "busy": [1, 0.5]},
                {"label": "absent", "figures": [9000, None], "busy": [1, None]},
                {"label": "friendserve, async def", "figures": [1, 9000], "busy": [1, 1]},
                {"label": "friendserve", "figures": [1, 10000], "busy": [1, 0.97]}]}
        record.update(changes)
        self.write("hello.json", json.dumps(record))
        return website.figures.read_chart(os.path.join(self.folder, "hello.json"))

    def test_the_chart_shows_requests_that_differ_fastest_first(self):
        chart = self.read()
        self.assertEqual([("friendserve", "0.9.0", 10000, "100.0", True, False),
                          ("slow", "1.2", 2500, "25.0", False, True)],
                         [tuple(bar) for bar in chart.rows])
        self.assertEqual(("2026-11-29", "A chip, 2 cores, Linux, CPython 3.11.7"),
                         (chart.date, chart.machine))

    def test_a_record_that_says_nothing_is_not_shown(self):
        self.assertIsNone(self.read(rounds=1))
        self.assertIsNone(self.read(series=["bare", "browser"]))
        self.assertIsNone(website.figures.read_chart(os.path.join(self.folder, "none.json")))

    def test_the_front_page_names_machine_and_date(self):
        self.read()
        server = self.serve()
        server.application.chart = website.figures.read_chart(
            os.path.join(self.folder, "hello.json"))
        text = self.ask("/de/").text
        self.assertIn("<bdi>A chip, 2 cores, Linux, CPython 3.11.7.</bdi>", text)
        self.assertIn("Aufgezeichnet am 2026-11-29.", text)
        self.assertIn("<td>2,500*</td>", text)
        self.assertIn('<rect width="25.0%"', text)


class DocsTest(SiteCase):
    def test_b461_bodies_in_the_frame_with_links_from_the_root(self):
        self.serve()
        index = self.ask("/docs/")
        self.assertIn('<a href="/docs/how-to/waiting#proxies">proxies</a>', index.text)
        self.assertIn('<img alt="" src="/docs/_images/floors.svg"/>', index.text)
        self.assertEqual("<svg/>", self.ask("/docs/_images/floors.svg").text)
        page = self.ask("/docs/how-to/waiting")
        self.assertIn(u"<title>Waiting &amp; polling – friendserve</title>", page.text)
        self.assertIn(u"<title>Documentation – friendserve</title>", index.text)
        self.assertIn('<a href="/docs/">the start</a>', page.text)
        self.assertIn('<li><a href="#proxies">Behind proxies</a></li>', page.text)
        self.assertIn('<a rel="prev" href="/docs/">', page.text)
        self.assertIn('href="/docs/how-to/waiting" aria-current="page"', page.text)
        self.assertEqual(404, self.ask("/docs/search").status)

    def test_b461_menus_go_as_deep_as_the_reader(self):
        links = {"reference/index": [], "reference/api/index": ["../"],
                 "reference/api/web": ["../../", "../"], "reference/limits": ["../"]}
        order = sorted(links)
        for name, above in links.items():
            number = order.index(name)
            after = order[number + 1:number + 2]
            self.write("pages/%s.fjson" % name, json.dumps({
                "title": "friendserve." + name, "body": "", "prev": None,
                "parents": [{"link": link} for link in above],
                "next": after and {"link": "../../%s/" % after[0]} or None}))
        docs = website.pages.Docs(self.pages)
        self.addCleanup(docs.close)

        def menu(name):
            return [(head.name, [page.label for page in others])
                    for head, others in docs.menu(docs.pages[name])
                    if head is not None and head.name != "index"]
        reference = [u"reference/api/index", u"reference/limits"]
        deep = [u"reference/api/index", u"reference/api/web", u"reference/limits"]
        self.assertEqual([("reference/index", reference)], menu("reference/limits"))
        self.assertEqual([("reference/index", deep)], menu("reference/api/index"))
        self.assertEqual([("reference/index", deep)], menu("reference/api/web"))
        self.assertEqual([("reference/index", [])], menu("index"))

    def test_what_is_wide_scrolls_by_the_keyboard(self):
        self.serve()
        text = self.ask("/docs/how-to/waiting").text
        self.assertIn('<pre tabindex="0">location', text)
        self.assertIn('tabindex="0" aria-label="Table"><table>', text)
        self.assertIn("</table></div>", text)

    def test_addresses_with_a_slash_or_without_pages(self):
        self.serve()
        self.assertIn("Waiting", self.ask("/docs/how-to/waiting/").text)
        self.assertIn("Documentation", self.ask("/docs").text)

    def test_b461_without_pages_the_site_says_how_to_build_them(self):
        self.pages = os.path.join(self.folder, "nowhere")
        self.serve()
        answer = self.ask("/docs/")
        self.assertEqual(503, answer.status)
        self.assertIn("The documentation has not been built.", answer.text)
        self.assertEqual(200, self.ask("/").status)
        self.assertEqual(200, self.ask("/search?q=x").status)
        self.assertEqual(404, self.ask("/search-index.js").status)


class SearchTest(SiteCase):
    def results(self, question):
        return re.findall('<li><a href="([^"]+)">', self.ask("/search?q=" + question).text)

    def test_b462_words_of_a_page_a_section_a_name(self):
        self.serve()
        docs = self.server.application.docs
        if docs.index is None:
            self.assertIn("search.js", self.ask("/search?q=waiting").text)
            return
        self.assertEqual("/docs/how-to/waiting", self.results("waiting")[0])
        self.assertEqual("/docs/how-to/waiting#proxies", self.results("behind+a+proxy")[0])
        self.assertEqual("/docs/how-to/waiting#feed.wait", self.results("feed.wait%20channel")[0])
        self.assertEqual([], self.results("zebra"))
        self.assertIn("Nothing found", self.ask("/search?q=zebra").text)
        self.assertNotIn("search-index.js", self.ask("/search?q=zebra").text)

    def test_questions_are_escaped_and_cannot_be_syntax(self):
        self.serve()
        for question in ('"', "%22+OR+*", "a+AND", "NEAR(", "%3Cscript%3E", "", "+", "page:x*",
                         "%F0%9F%98%80", "x" * 5000):
            answer = self.ask("/search?q=" + question)
            self.assertEqual(200, answer.status, question)
            self.assertNotIn("<script>", answer.text)

    def test_b462_without_fts5_the_script_finds(self):
        self.serve(is_static=True)
        text = self.ask("/search").text
        self.assertIn('src="/search-index.js"', text)
        script = self.ask("/search-index.js").text
        index = json.loads(script[len("searchIndex = "):-2])
        number = index["words"][website.search.stem("proxies")][-2]
        path, page, heading, _ = index["places"][number]
        self.assertEqual("/docs/how-to/waiting#proxies", path)
        self.assertEqual([u"Waiting & polling", u"Behind proxies"], [page, heading])


if __name__ == "__main__":
    unittest.main()
