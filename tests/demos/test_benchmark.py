"""The programs of demos/benchmark: their arithmetic, and one real measurement of the bare loop."""
from __future__ import absolute_import, division, print_function

import argparse
import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from xml.etree import ElementTree

from tests import ROOT, services

BENCHMARK = os.path.join(ROOT, "demos", "benchmark")
sys.path.insert(0, BENCHMARK)
try:
    import chart
    import fanout
    import client
    import hello
    import idle
    import loadgen
    import loop
    import machine
    import peers
    import report
    import traffic
    import where
finally:
    sys.path.remove(BENCHMARK)

SVG = "{http://www.w3.org/2000/svg}"


def raises_with(test, text, function, *arguments):
    with test.assertRaises(machine.BenchmarkError) as caught:
        function(*arguments)
    test.assertIn(text, str(caught.exception))


class WaitingTest(unittest.TestCase):
    def test_b439_clients_that_wait_are_told_of_a_reload_and_come_back(self):
        output = subprocess.check_output(
            [sys.executable, os.path.join(BENCHMARK, "reload", "waiting.py"), "40", "3"],
            cwd=os.path.dirname(ROOT)).decode("ascii")
        self.assertIn("and 40 are open at a new worker", output)
        # Spread over the time: a few in each tenth.
        counts = output.split("each tenth of that time: ")[1].split("\n")[0]
        tenths = [int(count) for count in counts.split()]
        self.assertEqual(10, len(tenths))
        self.assertLess(max(tenths), 20, output)
        self.assertIn("40 long polls were answered", output)


class ReportTest(unittest.TestCase):
    def test_median_of_odd_and_even_counts(self):
        self.assertEqual(report.median([3, 1, 2]), 2)
        self.assertEqual(report.median([4, 1, 2, 3]), 2.5)

    def test_figures_keep_the_digits_that_matter(self):
        written = [report.figure(value) for value in (63012.4, 167, 9.24, 0.814, None)]
        self.assertEqual(written, ["63,012", "167", "9.2", "0.81", "-"])

    def test_ratio_is_to_the_base(self):
        self.assertEqual(report.ratio(30, 60), "0.50 x")

    def test_ratio_without_a_base_or_a_value(self):
        self.assertEqual(report.ratio(30, None), "-")
        self.assertEqual(report.ratio(30, 0), "-")
        self.assertEqual(report.ratio(None, 30), "-")

    def test_table_aligns_its_columns(self):
        self.assertEqual(report.table(["a", "bb"], [["long", "1"], ["b", "200"]]).split("\n"),
                         ["a      bb", "---------", "long    1", "b     200"])


class ChartTest(unittest.TestCase):
    def draw(self, rows, series=(u"bare", u"full"), own=u"mine"):
        return ElementTree.fromstring(chart.bars(
            u"Hello & co", u"More is better", list(series), rows, own,
            lambda value, label, heading: report.figure(value), [u"small print"]
        ).encode("utf-8"))

    def bars(self, root):
        """The bars of the rows, not those of the legend, which have another height."""
        return [bar for bar in root.iter(SVG + "rect")
                if bar.get("class").startswith("bar") and bar.get("height") == "16.0"]

    def test_lengths_are_proportional(self):
        bars = self.bars(self.draw([(u"mine", [100, 50]), (u"other", [25, 1])]))
        widths = [float(bar.get("width")) for bar in bars]
        for width, share in zip(widths, [1, 0.5, 0.25, 0.01]):
            self.assertAlmostEqual(width, widths[0] * share, delta=0.1)

    def test_only_our_own_row_stands_out(self):
        bars = self.bars(self.draw([(u"mine", [100, 50]), (u"other", [25, 1])]))
        self.assertEqual([bar.get("class") for bar in bars],
                         ["bar own", "bar own second", "bar", "bar second"])

    def test_our_own_column_stands_out(self):
        bars = self.bars(self.draw([(u"a", [100, 50])], own=u"full"))
        self.assertEqual([bar.get("class") for bar in bars], ["bar", "bar own second"])

    def test_what_is_not_measured_has_no_bar(self):
        root = self.draw([(u"mine", [100, None])])
        self.assertEqual(len(self.bars(root)), 1)
        self.assertIn("not measured", [text.text for text in root.iter(SVG + "text")])

    def test_one_series_needs_no_legend(self):
        root = self.draw([(u"mine", [100])], series=[u"kB"])
        self.assertNotIn("kB", [text.text for text in root.iter(SVG + "text")])

    def test_screen_readers_are_told_everything(self):
        root = self.draw([(u"mine", [63012, 41500])])
        self.assertEqual(root.get("role"), "img")
        named = dict((node.get("id"), node.text) for node in root.iter() if node.get("id"))
        title, description = [named[name] for name in root.get("aria-labelledby").split()]
        self.assertEqual(title, "Hello & co")
        self.assertIn("mine: bare 63,012, full 41,500. small print", description)

    def test_names_are_escaped(self):
        root = self.draw([(u"<b> & \u00e9", [1, 1])])
        self.assertIn(u"<b> & \u00e9", [text.text for text in root.iter(SVG + "text")])

    def test_everything_lies_within_the_frame(self):
        root = self.draw([(u"a", [1, 2]), (u"b", [3, 4]), (u"c", [5, 6])])
        width, height = float(root.get("width")), float(root.get("height"))
        for node in root.iter():
            if node.get("y") is not None:
                self.assertLess(float(node.get("y")) + float(node.get("height", 0)), height)
                self.assertLess(float(node.get("x")) + float(node.get("width", 0)), width)

    def test_marks_are_round_and_few(self):
        self.assertEqual(chart.marks_up_to(109245), [0, 50000, 100000])
        self.assertEqual(chart.marks_up_to(10), [0, 2, 4, 6, 8, 10])
        for highest in (0.003, 0.81, 1, 9.2, 99, 167, 530000, 1480287):
            marks = chart.marks_up_to(highest)
            self.assertTrue(3 <= len(marks) <= 6, (highest, marks))
            self.assertLessEqual(marks[-1], highest * 1.001)


@services.needs(services.Nginx)
class ClientTest(unittest.TestCase):
    def test_clients_are_chosen_by_name(self):
        self.assertEqual([each.name for each in client.choose(["curl", "simple"])],
                         ["simple", "curl"])
        raises_with(self, "unknown client 'wget'", client.choose, ["wget"])

    def test_our_clients_fetch(self):
        options = client.parse_options(["--fetches=50", "--in-flight=4", "--rounds=1"])
        core, _ = machine.two_cores()
        with client.nginx(core) as port:
            chosen = [each for each in client.choose(["simple", "curl"])
                      if peers.probe(each)[1] is None]
            figures, failed = client.measure_all(list(chosen), port, options)
        self.assertEqual(failed, [])
        for each in chosen:
            value, = figures[each.label]
            self.assertGreater(value, 0)


class RecordTest(unittest.TestCase):
    ROWS = [(u"friendserve", [100, 50]), (u"other", [90, 40])]

    def setUp(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        self.path = os.path.join(folder, "record.json")
        options = argparse.Namespace(record=self.path, svg=None, rounds=3)
        report.save(options, u"Hello", u"More is better", [u"bare", u"varied"], self.ROWS,
                    {u"other": u"2.0"}, {u"friendserve": [0.99, 0.5], u"other": [1, 0.95]})
        with io.open(self.path, encoding="utf-8") as saved:
            self.record = json.load(saved)

    def texts(self, *columns):
        root = ElementTree.fromstring(report.draw(self.record, columns).encode("utf-8"))
        return [text.text for text in root.iter(SVG + "text")]

    def test_a_record_says_where_when_and_how_often(self):
        self.assertEqual({"other": "2.0"}, self.record["versions"])
        self.assertEqual(3, self.record["rounds"])
        foot = self.texts()[-3:]
        self.assertIn(self.record["python"], foot[0])
        self.assertIn("%d cores" % self.record["cores"], foot[0])
        self.assertEqual("%s, median of 3 rounds" % self.record["date"], foot[1])

    def test_figures_of_a_server_that_was_not_busy_are_marked(self):
        texts = self.texts()
        self.assertEqual(["50.0 *"], [text for text in texts if text.endswith(" *")])
        self.assertEqual(report.BUSY_NOTE, texts[-1])
        self.assertNotIn(report.BUSY_NOTE, self.texts("bare"))

    def test_columns_are_chosen_by_name(self):
        self.assertNotIn("100", self.texts("varied"))
        raises_with(self, "bare, varied", report.draw, self.record, ["nothing"])

    def test_the_chart_in_the_readme_is_that_of_the_record(self):
        with io.open(os.path.join(BENCHMARK, "results", "hello.json"), encoding="utf-8") as source:
            record = json.load(source)
        with io.open(os.path.join(ROOT, "website", "static", "hello.svg"), encoding="utf-8") as svg:
            self.assertEqual(report.draw(record, ["varied"]), svg.read())

    def test_records_of_runs_can_be_drawn(self):
        folder = os.path.join(BENCHMARK, "results")
        names = [name for name in os.listdir(folder) if name.endswith(".json")]
        self.assertTrue(names)
        for name in names:
            with io.open(os.path.join(folder, name), encoding="utf-8") as saved:
                ElementTree.fromstring(report.draw(json.load(saved)).encode("utf-8"))


class VariedTest(unittest.TestCase):
    def test_no_request_comes_twice(self):
        exchanges = loadgen.varied_exchanges(True)
        self.assertEqual(20000, len(set(exchange.request for exchange in exchanges)))
        for start in (b"GET ", b"User-Agent: ", b"Referer: ", b"Cookie: ", b"X-Request-Id: "):
            lines = set(line for exchange in exchanges[:1000]
                        for line in exchange.request.split(b"\r\n") if line.startswith(start))
            self.assertGreater(len(lines), 100, start)

    def test_answers_vary_if_asked(self):
        self.assertEqual(set([b"Hello, world!"]),
                         set(exchange.body for exchange in loadgen.varied_exchanges(False, 100)))
        bodies = set(exchange.body for exchange in loadgen.varied_exchanges(True, 100))
        self.assertGreater(len(bodies), 90)


class AnswerTest(unittest.TestCase):
    ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nServer: x\r\n\r\nhello"

    def test_incomplete_at_every_byte_but_the_last(self):
        for end in range(len(self.ANSWER)):
            self.assertIsNone(loadgen.first_answer(self.ANSWER[:end]))
        self.assertEqual(loadgen.first_answer(self.ANSWER), (200, b"hello", len(self.ANSWER)))

    def test_what_follows_is_left_alone(self):
        self.assertEqual(loadgen.first_answer(self.ANSWER + b"HTTP/1.1 5").body, b"hello")

    def test_a_length_in_the_body_is_not_one(self):
        raises_with(self, "Content-Length", loadgen.first_answer,
                    b"HTTP/1.1 200 OK\r\n\r\n\r\nContent-Length: 0\r\n")

    def test_another_protocol_is_refused(self):
        raises_with(self, "not an answer", loadgen.first_answer,
                    b"SSH-2.0 200\r\nContent-Length: 0\r\n\r\n")

    def test_wrong_answers_are_noticed(self):
        right = loadgen.first_answer(self.ANSWER)
        loadgen.check(right, b"hello")
        raises_with(self, "wrong answer", loadgen.check, right, b"hellO")
        raises_with(self, "status 500", loadgen.check, right._replace(status=500), b"hello")

    def test_request_has_the_headers_it_was_given(self):
        self.assertEqual(loadgen.request("/x", ["A: b"]),
                         b"GET /x HTTP/1.1\r\nHost: 127.0.0.1\r\nA: b\r\n\r\n")
        self.assertEqual(len(loadgen.BROWSER_HEADERS), 10)


class WrkTest(unittest.TestCase):
    TOTALS = ("Running 1s test\ntotals requests=%d bytes=%d microseconds=2000000 connect=0 read=0 "
              "write=0 status=%d timeout=0\n")

    def test_rate(self):
        self.assertEqual(loadgen.wrk_rate(self.TOTALS % (1000, 50000, 0), 50), 500)

    def test_answers_still_on_their_way(self):
        self.assertEqual(loadgen.wrk_rate(self.TOTALS % (1000, 50000 + 64 * 50, 0), 50), 500)

    def test_other_lengths_are_wrong_answers(self):
        for received in (49999, 50001 + 64 * 50):
            raises_with(self, "are not the", loadgen.wrk_rate,
                        self.TOTALS % (1000, received, 0), 50)

    def test_errors_are_wrong_answers(self):
        raises_with(self, "status: 3", loadgen.wrk_rate, self.TOTALS % (1000, 50000, 3), 50)

    def test_wrk_that_did_not_run(self):
        raises_with(self, "no totals", loadgen.wrk_rate, "unable to connect", 50)


class WhereTest(unittest.TestCase):
    def test_b424_each_request_passes_every_stage_once(self):
        self.assertIs(where.read_request_head, where.connections.read_request_head)
        found = where.measure([where.bare, where.varied], 2, 3)
        self.assertIs(where.read_request_head, where.connections.read_request_head)
        self.assertEqual(["bare", "varied"], sorted(found))
        for figures in found.values():
            self.assertEqual([stage for stage, _ in where.STAGES],
                             [stage for stage, _ in where.STAGES if figures[stage] >= 0])
        counts = where.laps.counts
        self.assertEqual([3] * 5, [counts[stage] for stage in (
            "recv", "head", "request", "route", "send")])


class MachineTest(unittest.TestCase):
    def test_cpu_list(self):
        self.assertEqual(machine.parse_cpu_list("0-2,5\n"), [0, 1, 2, 5])
        self.assertEqual(machine.parse_cpu_list("3"), [3])

    def test_stat_with_a_difficult_name(self):
        data = b"7 (a) b (c) S 1 42 42 0 -1 0 0 0 0 0 30 12 5 5 20 0 1 0 9 9 9"
        self.assertEqual(machine.parse_stat(data), (42, 42))

    def test_resident_memory(self):
        self.assertEqual(machine.parse_resident(b"Name:\tx\nVmRSS:\t    2048 kB\n"), 2097152)
        self.assertEqual(machine.parse_resident(b"Name:\tx\nState:\tZ (zombie)\n"), 0)


@unittest.skipUnless(machine.has_program("redis-server") and machine.has_program("taskset"),
                     "redis-server or taskset is not installed: apt-get install redis-server "
                     "util-linux")
class FanoutTest(unittest.TestCase):
    def test_a_message_reaches_all(self):
        options = fanout.parse_options(["--readers=6", "--deliveries=2", "--rounds=1"])
        core = machine.two_cores()[0]
        for kind in (fanout.Polls, fanout.Sockets):
            with fanout.redis() as (url, process):
                servers = [peers.start(fanout.SERVER, "fanout", core, [url]) for _ in range(2)]
                figures = fanout.measure(kind, servers, options, process)
            self.assertEqual(3, len(figures))


class PeersTest(unittest.TestCase):
    def names(self, *arguments):
        return [peer.name for peer in peers.choose(*arguments)]

    def test_every_peer_has_a_program(self):
        kinds = ["hello", "callable", "traffic", "websocket", "static"]
        self.assertEqual(set(peer.name for peer in peers.PEERS),
                         set(name for kind in kinds for name in self.names(kind)))

    def test_only_some_have_a_long_poll(self):
        self.assertEqual(self.names("longpoll"), [
            "friendserve", "aiohttp", "tornado", "pypyfriendserve", "pypytornado", "pypyaiohttp"])

    def test_some_have_static_files(self):
        self.assertEqual(self.names("static", ["nginx", "friendserve"]), ["friendserve", "nginx"])

    def test_some_have_a_web_socket(self):
        self.assertEqual([name for name in self.names("websocket") if "pypy" not in name], [
            "friendserve", "aiohttp", "tornado", "pure", "websockets", "picows"])

    def test_only(self):
        self.assertEqual(self.names("hello", ["bare", "aiohttp"]), ["aiohttp", "bare"])
        self.assertEqual(peers.comma_list("bare, aiohttp,"), ["bare", "aiohttp"])

    def test_unknown_name(self):
        raises_with(self, "'nginx'", peers.choose, "hello", ["nginx"])

    def test_missing_module_is_a_reason(self):
        version, reason = peers.probe(peers.Peer("x", "x", ["no_such_module_here"]))
        self.assertIsNone(version)
        self.assertIn("no_such_module_here", reason)

    def test_missing_program_is_a_reason(self):
        for peer in (peers.Peer("x", "x", [], ["no-such-program-here"]),
                     peers.Peer("x", "x", ["sys"], python="no-such-program-here")):
            version, reason = peers.probe(peer)
            self.assertIsNone(version)
            self.assertIn("no-such-program-here", reason)

    def test_idle_connections_come_from_more_addresses_when_ports_run_out(self):
        self.assertEqual([idle.source_address(number) for number in (0, 9999, 10000, 20000)],
                         [None, None, "127.0.0.2", "127.0.0.3"])


class LoopTest(unittest.TestCase):
    @unittest.skipUnless(loop.LOOPS, "no event loop can be imported")
    def test_every_loop_is_measured(self):
        for name, make in loop.LOOPS:
            chained, cancelled, fired, in_order = loop.measure_round(make, 2000)
            self.assertGreater(min(chained, cancelled, fired), 0)
            self.assertTrue(in_order or name == "uvloop")


@unittest.skipUnless(sys.platform.startswith("linux") and machine.has_program("taskset"),
                     "measuring needs Linux and taskset")
class MeasuringTest(unittest.TestCase):
    BARE = peers.choose("hello", ["bare"])[0]
    EXCHANGES = [loadgen.Exchange(loadgen.request(), b"Hello, world!")]

    def serve(self):
        return contextlib.closing(peers.start(self.BARE, "hello", machine.two_cores()[0]))

    def test_our_own_load_finds_the_rate(self):
        with self.serve() as server:
            self.assertGreater(loadgen.drive(server.port, self.EXCHANGES, 0.2), 0)
            self.assertGreater(server.resident_bytes(), 1000000)

    def test_our_own_load_notices_a_wrong_body(self):
        wrong = [loadgen.Exchange(loadgen.request(), b"Hello")]
        with self.serve() as server:
            raises_with(self, "wrong answer", loadgen.drive, server.port, wrong, 5)

    def test_our_own_load_varies_requests_and_answers(self):
        exchanges = loadgen.varied_exchanges(True, 100)
        for kind, _ in hello.TABLES.values():
            peer, = peers.choose(kind, ["friendserve"])
            with contextlib.closing(peers.start(peer, kind, machine.two_cores()[0])) as server:
                self.assertGreater(loadgen.drive(server.port, exchanges, 0.2), 0)

    def test_length_of_an_answer(self):
        with self.serve() as server:
            self.assertEqual(loadgen.warm_up(server.port, self.EXCHANGES, 2), 78)

    def test_idle_connections_are_counted(self):
        with self.serve() as server:
            clients = idle.open_idle(server.port, 5)
            try:
                self.assertEqual(idle.count_open(clients), 5)
            finally:
                idle.close_all(clients)

    def test_server_is_gone_afterwards(self):
        with self.serve() as server:
            group = server._process.pid
        self.assertRaises(OSError, os.killpg, group, 0)


@unittest.skipUnless(sys.platform.startswith("linux") and machine.has_program("taskset"),
                     "measuring needs Linux and taskset")
class ProgramTest(unittest.TestCase):
    """Each program prints a plausible table and writes its record, with a tiny round."""

    def record(self, program, *arguments):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, "record.json")
        process = subprocess.Popen(
            ["timeout", "120", sys.executable, os.path.join(BENCHMARK, program), "--rounds=1",
             "--record", path] + list(arguments),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
        output = process.communicate()[0]
        self.assertEqual(0, process.returncode, output)
        with io.open(path, encoding="utf-8") as saved:
            record = json.load(saved)
        for row in record["rows"]:
            self.assertIn(row["label"], output)
            self.assertNotIn(None, row["figures"], output)
            self.assertGreater(min(row["figures"]), 0, output)
        return record

    def test_hello(self):
        record = self.record("hello.py", "--seconds=0.1", "--answers=varied", "--only=friendserve")
        self.assertEqual(["bare", "browser", "varied"], record["series"])
        self.assertEqual(["friendserve"], [row["label"] for row in record["rows"]])

    @services.needs(services.Nginx)
    def test_cluster(self):
        record = self.record("cluster.py", "--seconds=0.1", "--only=friendserve", "--processes=2")
        self.assertEqual(["friendserve"], [row["label"] for row in record["rows"]])
        self.assertEqual(["friendserve", "nginx"], sorted(record["versions"]))

    @unittest.skipUnless(machine.has_program("openssl"), "needs openssl")
    def test_traffic(self):
        record = self.record("traffic.py", "--seconds=0.05", "--only=friendserve")
        self.assertEqual([label for _, label, _ in traffic.MODES],
                         [row["label"] for row in record["rows"]])

    def test_websocket(self):
        for kind in ("text", "binary"):
            record = self.record("websocket.py", "--seconds=0.05", "--only=friendserve",
                                 "--connections=3", "--answers=varied", "--kind", kind)
            self.assertEqual(3, len(record["rows"][0]["figures"]))

    def test_metrics(self):
        output = subprocess.check_output(
            ["timeout", "120", sys.executable, os.path.join(BENCHMARK, "metrics.py"), "--rounds=1",
             "--seconds=0.1"], stderr=subprocess.STDOUT, universal_newlines=True)
        self.assertGreater(int(re.search(r"(\d+) requests counted", output).group(1)), 60)
        self.assertTrue(re.search(r"^price +[+-]\d+\.\d %", output, re.M), output)

    def test_template(self):
        record = self.record("template.py", "--rows=3", "--times=2")
        self.assertEqual(["rows", "not escaped", "text"], record["series"])
