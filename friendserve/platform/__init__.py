"""Bridges to other libraries, and the names that Tornado has here. The pollers are in `pollers`."""
