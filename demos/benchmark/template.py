"""The cost of rendering a page: friendserve against Jinja2 and Tornado.

All render the same bytes in this one process, in alternating rounds: a table of 1,000 rows, with
one column that has to be escaped, one that does not, and a number; and a long text of few tags.
"""
from __future__ import absolute_import, division, print_function

import argparse
import sys
from timeit import default_timer as clock

import machine
import peers
import report

try:
    import jinja2
except ImportError:
    jinja2 = None
try:
    import tornado
    import tornado.template
except ImportError:
    tornado = None

if peers.CHECKOUT not in sys.path:
    sys.path.insert(1, peers.CHECKOUT)
import friendserve.template  # noqa: E402

PAGE = u"""<table>
{% for row in rows %}<tr>
  <td>{{ row["id"] }}</td> <td>{{ row["name"] }}</td> <td>{{ row["text"] }}</td>
</tr>
{% END %}</table>
"""

# 30 kB with two tags, as in a file of documentation.
TEXT = (u"<h1>{{ rows[0]['name'] }}</h1>\n"
        + u"<p>Mostly text, as on most pages: few tags, \u201cquotation marks\u201d.</p>\n" * 400
        + u"<p>{{ rows[0]['text'] }}</p>\n")


def make_rows(count):
    return [{"id": number, "name": u"Name & <b>%d</b>" % number,
             "text": u"plain text of row %d" % number} for number in range(count)]


def with_friendserve(page, autoescape):
    template = friendserve.template.Template(
        page.replace(u"END", u"end"), autoescape="xhtml_escape" if autoescape else None)
    return lambda rows: template.generate(rows=rows)


def with_tornado(page, autoescape):
    template = tornado.template.Template(
        page.replace(u"END", u"end"), autoescape="xhtml_escape" if autoescape else None)
    return lambda rows: template.generate(rows=rows)


def with_jinja2(page, autoescape):
    environment = jinja2.Environment(autoescape=autoescape, keep_trailing_newline=True)
    template = environment.from_string(page.replace(u"END", u"endfor"))
    return lambda rows: template.render(rows=rows).encode("utf-8")


ENGINES = [(name, version, make) for name, version, make in [
    ("friendserve", friendserve.version, with_friendserve),
    ("Jinja2", jinja2 and jinja2.__version__, with_jinja2),
    ("Tornado", tornado and tornado.version, with_tornado)] if version]


# (heading, page, whether to escape) by column.
PAGES = [("rows", PAGE, True), ("not escaped", PAGE, False), ("text", TEXT, True)]


def measure(render, rows, times):
    """Microseconds for one page."""
    started = clock()
    for _ in range(times):
        render(rows)
    return (clock() - started) * 1e6 / times


def parse_options(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--times", type=int, default=20, help="pages a round")
    parser.add_argument("--rounds", type=int, default=9, help="rounds; the median is printed")
    report.add_options(parser)
    return parser.parse_args(arguments)


def run(options):
    machine.pin_self(machine.two_cores()[0])
    rows = make_rows(options.rows)
    results = {}
    for heading, page, autoescape in PAGES:
        renders = [(name, make(page, autoescape)) for name, _, make in ENGINES]
        if len(set(render(rows) for _, render in renders)) != 1:
            raise machine.BenchmarkError("the engines render different pages")
        for _ in range(options.rounds):
            for name, render in renders:
                results.setdefault((name, heading), []).append(
                    measure(render, rows, options.times))
    medians = dict((key, report.median(figures)) for key, figures in results.items())
    headings = [heading for heading, _, _ in PAGES]
    print("%s; %d rows, %d rounds in one process on one core" % (
        machine.description(), options.rows, options.rounds))
    print(report.table(
        ["templates, us a page", "version"] + [
            cell for heading in headings for cell in (heading, "ratio")],
        [[name, version] + [cell for heading in headings for cell in (
            report.figure(medians[name, heading]),
            report.ratio(medians[name, heading], medians[report.BASE, heading]))]
         for name, version, _ in ENGINES]))
    report.save(options, u"Rendering a page", u"Microseconds on one core; less is better", headings,
                [(name, [medians[name, heading] for heading in headings])
                 for name, _, _ in ENGINES],
                dict((name, version) for name, version, _ in ENGINES))


if __name__ == "__main__":
    try:
        run(parse_options(sys.argv[1:]))
    except machine.BenchmarkError as error:
        sys.exit("template.py: %s" % error)
