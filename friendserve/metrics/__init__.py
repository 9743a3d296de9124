"""Counters, gauges and histograms, in the text format of Prometheus.

    from friendserve import metrics

    signups = metrics.counter("signups_total", "Accounts that were created.", ["plan"])
    queued = metrics.gauge("mails_queued", "Mails to be sent.")
    rendering = metrics.histogram("rendering_seconds", "How long pages take to render.")

    signups.labels("free").add()
    queued.set(3)
    rendering.observe(0.012)

    metrics.watch(pool, "main")     # figures of a database pool, a feed, an HTTP client, a server
    text = metrics.render()

All of these work on `metrics.registry`, the registry of the process. Under ``friendserve serve``,
the values of each worker are in memory that all workers share, and ``--metrics`` serves those of
the whole service from any worker, with the label `slot`.
"""
from __future__ import absolute_import, division, print_function

from friendserve.metrics.registry import (
    DURATIONS, Counter, Gauge, Histogram, Registry, counter, gauge, histogram, registry, render)
from friendserve.metrics.text import CONTENT_TYPE, render_sources
from friendserve.metrics.watching import watch
from friendserve.util import set_public_module

__all__ = ["CONTENT_TYPE", "Counter", "DURATIONS", "Gauge", "Histogram", "Registry", "counter",
           "gauge", "histogram", "registry", "render", "render_sources", "watch"]

set_public_module(globals())
