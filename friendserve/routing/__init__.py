"""Rules that lead requests to applications, under the names of Tornado 4.5.

    from friendserve.routing import HostMatches, Rule, RuleRouter
"""
from __future__ import absolute_import, division, print_function

from friendserve.routing.rules import (
    AnyMatches, DefaultHostMatches, HostMatches, Matcher, PathMatches, ReversibleRouter,
    ReversibleRuleRouter, Router, Rule, RuleRouter, URLSpec)
from friendserve.util import set_public_module

__all__ = ["AnyMatches", "DefaultHostMatches", "HostMatches", "Matcher", "PathMatches",
           "ReversibleRouter", "ReversibleRuleRouter", "Router", "Rule", "RuleRouter", "URLSpec"]

set_public_module(globals())
