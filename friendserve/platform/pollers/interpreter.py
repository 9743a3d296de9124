"""What is done differently because of the interpreter that runs this, decided once, at import."""
from __future__ import absolute_import, division, print_function

from friendserve.util import IS_PYPY

#: How many bytes to read from a socket unless the last read got as many, or None to always ask for
#: as many as a stream takes. On PyPy a read takes the memory for all that it asks for from where
#: new objects are made, and with 64 KiB each time these have to be collected after a few requests.
SMALL_READ = 8192 if IS_PYPY else None
