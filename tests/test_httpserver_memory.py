"""What a closed connection leaves in the memory of its server: nothing (row B254)."""
from __future__ import absolute_import, division, print_function

import gc
import unittest

from friendserve.http1connection import HTTP1ServerConnection
from friendserve.iostream.buffers import WriteBuffer
from tests.httpcase import HTTPCase, answer, get

SIZE = 8 << 20


class UnreadResponseTest(HTTPCase):
    def kept(self):
        """What is still in memory of the connections and their output."""
        gc.collect()
        return [one for one in gc.get_objects()
                if type(one) is HTTP1ServerConnection and one.server is self.server
                or type(one) is WriteBuffer and len(one) > 1000000]

    def check(self, leave):
        self.serve(lambda request: answer(request, b"x" * SIZE))
        # Sweep now, and not again during the test.
        self.server._sweep_interval = 600
        clients = [self.connect(data=get(), receive_buffer=4096) for _ in range(3)]
        self.run_until(lambda: len(self.kept()) == 6)
        self.server._sweep(self.loop)
        for client in clients:
            leave(client)
        self.run_until(lambda: not self.server.connection_count())
        self.turn()
        self.assertEqual([], self.kept())

    def test_b254_clients_that_reset(self):
        self.check(lambda client: client.abort())

    def test_b254_a_server_that_closes_its_connections(self):
        self.check(lambda client: self.server.close_all_connections())


if __name__ == "__main__":
    unittest.main()
