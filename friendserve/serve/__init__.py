"""Running an application as a service."""
from __future__ import absolute_import, division, print_function
