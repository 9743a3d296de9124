# coding: utf-8
from __future__ import absolute_import, division, print_function

import time
import unittest

import six
from prometheus_client.parser import text_string_to_metric_families

from friendserve.database import Pool
from friendserve.feed import LocalFeed
from friendserve.ioloop import IOLoop
from friendserve.metrics import Registry, render_sources, watch
from friendserve.serve.scoreboard import Scoreboard
from friendserve.testing import AsyncHTTPTestCase
from friendserve.web import Application, HTTPError, RequestHandler
from friendserve.wsgi import WSGIContainer


def parse(text):
    """{(name of a sample, its labels as sorted pairs): value}, as Prometheus reads a text."""
    found = {}
    for family in text_string_to_metric_families(text.decode("utf-8")):
        for sample in family.samples:
            key = sample.name, tuple(sorted(sample.labels.items()))
            assert key not in found, key
            found[key] = sample.value
    return found


class RegistryTest(unittest.TestCase):
    def setUp(self):
        self.registry = Registry()

    def test_b402_counters_and_gauges(self):
        requests = self.registry.counter("hits_total", "Hits.", ["method", "path"])
        requests.labels("GET", "/").add()
        requests.labels("GET", "/").add(2)
        requests.labels("POST", "/").add()
        self.registry.counter("unused_total", "Never.")
        level = self.registry.gauge("level", "A level.")
        level.set(1.5)
        level.add(-2)
        self.registry.gauge("seven", "A function.", function=lambda: 7)
        self.assertEqual({
            ("hits_total", (("method", "GET"), ("path", "/"))): 3,
            ("hits_total", (("method", "POST"), ("path", "/"))): 1,
            ("unused_total", ()): 0, ("level", ()): -0.5, ("seven", ()): 7},
            parse(self.registry.render()))

    def test_b402_a_histogram(self):
        sizes = self.registry.histogram("size", "Sizes.", buckets=[1, 2.5, 5])
        sizes.observe(2)
        sizes.observe(5)
        sizes.labels().observe_all([6, 0.5, 1])
        self.assertEqual(5, sizes.labels().value)
        self.assertEqual({
            ("size_bucket", (("le", "1"),)): 2, ("size_bucket", (("le", "2.5"),)): 3,
            ("size_bucket", (("le", "5"),)): 4, ("size_bucket", (("le", "+Inf"),)): 5,
            ("size_count", ()): 5, ("size_sum", ()): 14.5}, parse(self.registry.render()))

    def test_b403_text_that_needs_escaping(self):
        value = u'caf\xe9 "quoted" \\ \n end'
        self.registry.counter("odd_total", u"Back\\slash\nand é.", ["name"]).labels(value).add()
        text = self.registry.render()
        self.assertEqual({("odd_total", (("name", value),)): 1}, parse(text))
        family = list(text_string_to_metric_families(text.decode("utf-8")))[0]
        self.assertEqual(u"Back\\slash\nand \xe9.", family.documentation)

    def test_b403_numbers_that_are_not_finite(self):
        for name, number in (("a", float("inf")), ("b", -float("inf")), ("c", 1e300), ("d", 0.1)):
            self.registry.gauge(name, "").set(number)
        self.registry.gauge("e", "").set(float("nan"))
        values = parse(self.registry.render())
        self.assertEqual([float("inf"), -float("inf"), 1e300, 0.1],
                         [values[name, ()] for name in "abcd"])
        self.assertNotEqual(values["e", ()], values["e", ()])

    def test_b404_declarations_that_are_wrong(self):
        self.registry.counter("a_total", "", ["x"])
        self.assertIs(self.registry.counter("a_total", "", ["x"]),
                      self.registry.counter("a_total", "", ["x"]))
        for message, declare in (
                ("ends in _total, as in a_total", lambda: self.registry.counter("a", "")),
                ("another type, other labels", lambda: self.registry.counter("a_total", "")),
                ("another type, other labels", lambda: self.registry.gauge("a_total", "", ["x"])),
                ("cannot be the name", lambda: self.registry.gauge("a-b", "")),
                ("cannot be a label", lambda: self.registry.gauge("b", "", ["slot"])),
                ("cannot be a label", lambda: self.registry.gauge("b", "", ["a b"])),
                ("must increase", lambda: self.registry.histogram("c", "", buckets=[2, 1])),
                ("has the labels \\(x\\), but 0",
                 lambda: self.registry.counter("a_total", "", ["x"]).add()),
                ("only increases",
                 lambda: self.registry.counter("a_total", "", ["x"]).labels("1").add(-1))):
            with six.assertRaisesRegex(self, ValueError, message):
                declare()

    def test_b404_labels_that_clients_choose_cannot_fill_the_memory(self):
        names = self.registry.counter("names_total", "", ["name"])
        for number in range(1000):
            names.labels(str(number)).add()
        values = parse(self.registry.render())
        self.assertEqual(201, len(values))
        self.assertEqual(800, values["names_total", (("name", "other"),)])

    def test_b405_another_storage(self):
        place = Scoreboard(1).begin(0, 1)
        counter = self.registry.counter("a_total", "")
        kept = self.registry.histogram("b", "", buckets=[1]).labels()
        counter.add(5)
        self.registry.move_to(place)
        # What was counted before the fork is not counted by each worker again.
        counter.add(1)
        kept.observe(3)
        self.registry.counter("c_total", "").add(2)
        self.assertEqual({
            ("a_total", (("slot", "0"),)): 1, ("b_bucket", (("le", "1"), ("slot", "0"))): 0,
            ("b_bucket", (("le", "+Inf"), ("slot", "0"))): 1, ("b_sum", (("slot", "0"),)): 3,
            ("b_count", (("slot", "0"),)): 1, ("c_total", (("slot", "0"),)): 2},
            parse(render_sources([(0, place)])))

    def test_b405_programs_that_disagree(self):
        other = Registry()
        self.registry.counter("a_total", "").add(1)
        other.counter("a_total", "", ["x"]).labels("1").add(3)
        self.registry.gauge("b", "").set(1)
        other.histogram("b", "").observe(1)
        self.assertEqual(
            {("a_total", ()): 1, ("a_total", (("x", "1"),)): 3, ("b", ()): 1},
            parse(render_sources([(None, self.registry.storage), (None, other.storage)])))


class HelloHandler(RequestHandler):
    def get(self, path=""):
        if path == "block":
            time.sleep(0.15)
        if path == "missing":
            raise HTTPError(404)
        self.write("Hello")

    def delete(self, path=""):
        self.set_status(204)


class WatchingTest(AsyncHTTPTestCase):
    def get_app(self):
        self.registry = Registry()
        inner = Application([(r"/inner/(.*)", HelloHandler)], log_function=lambda handler: None)
        app = Application([(r"/inner/.*", inner), (r"/(.*)", HelloHandler)],
                          log_function=lambda handler: None)
        watch(app, registry=self.registry)
        return app

    def values(self):
        return parse(self.registry.render())

    def test_b406_requests_by_method_and_status(self):
        for path in ("/", "/inner/", "/missing"):
            self.fetch(path)
        self.fetch("/", method="DELETE")
        self.fetch("/", method="BREW", allow_nonstandard_methods=True)
        values = self.values()
        self.assertEqual(
            [2, 1, 1, 1], [values["friendserve_requests_total",
                                  (("method", method), ("status", status))]
                           for method, status in (("GET", "2xx"), ("GET", "4xx"),
                                                  ("DELETE", "2xx"), ("other", "4xx"))])
        self.assertEqual(5, values["friendserve_request_seconds_count", ()])

    def test_b406_connections_by_state(self):
        watch(self.http_server, registry=self.registry)
        self.fetch("/")
        values = self.values()
        self.assertEqual(1, values["friendserve_connections", (("state", "idle"),)])
        self.assertEqual(0, values["friendserve_connections", (("state", "responding"),)])
        self.http_server.close_all_connections()
        self.io_loop.add_callback(self.stop)
        self.wait()
        self.assertEqual(0, self.values()["friendserve_connections", (("state", "idle"),)])

    def test_b407_a_slow_callback_is_named(self):
        watch(self.io_loop, registry=self.registry)
        self.addCleanup(self.io_loop.meter_turns, None)
        # The first slow turn starts the naming.
        for _ in range(2):
            self.fetch("/block")
        self.assertGreaterEqual(self.values()["friendserve_loop_lag_seconds", ()], 0.15)
        values = self.values()
        names = [dict(labels)["callback"] for name, labels in values
                 if name == "friendserve_slow_callbacks_total"]
        self.assertEqual(1, len(names), names)
        self.assertIn("_on_head", names[0])
        self.assertGreater(values["friendserve_loop_turn_seconds_count", ()], 4)
        self.assertGreater(values["friendserve_loop_callbacks_total", ()], 2)
        self.assertEqual(
            2, values["friendserve_loop_turn_seconds_count", ()]
            - values["friendserve_loop_turn_seconds_bucket", (("le", "0.1"),)])

    def test_b408_clients_feeds_and_pools(self):
        pool = Pool("sqlite:///:memory:", io_loop=self.io_loop)
        feed = LocalFeed(io_loop=self.io_loop)
        self.addCleanup(pool.close)
        self.addCleanup(feed.close)
        for part in (pool, feed, self.http_client):
            watch(part, "main", self.registry)
        feed.wait("room", None, self.stop)
        pool.query("SELECT 1", callback=self.stop)
        self.wait()
        self.fetch("/")
        values = self.values()
        name = (("name", "main"),)
        self.assertEqual(
            [1, 0, 1, 0], [values["friendserve_" + figure, name] for figure in (
                "pool_threads", "pool_waiting", "feed_readers", "client_queued")])
        self.assertEqual(1, values["friendserve_client_fetches", name])

    def test_b408_anything_else_is_an_error(self):
        with six.assertRaisesRegex(self, TypeError, "takes a loop, server"):
            watch(object(), registry=self.registry)


class WatchedContainerTest(AsyncHTTPTestCase):
    def get_app(self):
        def application(environ, start_response):
            start_response("202 Accepted", [("Content-Length", "2")])
            return [b"ok"]

        self.registry = Registry()
        container = WSGIContainer(application)
        watch(container, registry=self.registry)
        return container

    def test_b406_requests_of_a_wsgi_application(self):
        self.fetch("/")
        self.assertEqual(1, parse(self.registry.render())[
            "friendserve_requests_total", (("method", "GET"), ("status", "2xx"))])


class MeterTest(unittest.TestCase):
    def test_b407_an_unwatched_loop_is_as_before(self):
        loop = IOLoop(make_current=False)
        self.addCleanup(loop.close)
        before = dict(vars(loop))
        loop.meter_turns(lambda seconds, callbacks: None)
        loop.meter_turns(None)
        before["_watch"] = vars(loop)["_watch"]
        self.assertEqual(sorted(before), sorted(vars(loop)))

    def test_b407_watchers_and_the_meter(self):
        loop = IOLoop(make_current=False)
        self.addCleanup(loop.close)
        metered, watched = [], []
        meter = lambda seconds, callbacks: metered.append(callbacks)  # noqa: E731
        loop.meter_turns(meter)
        for watch_it in (True, False):
            loop.add_callback(lambda: None)
            loop.add_callback(lambda: None)
            if watch_it:
                loop.watch_turns(watched.append)
            loop.run_once()
            loop.unwatch_turns(watched.append)
        loop.meter_turns(None)
        loop.run_once()
        self.assertEqual(([2, 2], 1), (metered, len(watched)))


if __name__ == "__main__":
    unittest.main()
