"""ZMQStream on a loop: a thousand messages there and back."""
from __future__ import absolute_import, division, print_function

import zmq
from scenario import equal, run
from zmq.eventloop import ioloop, zmqstream

if hasattr(ioloop, "install"):
    ioloop.install()
context = zmq.Context()
server = zmqstream.ZMQStream(context.socket(zmq.REP))
port = server.socket.bind_to_random_port("tcp://127.0.0.1")
server.on_recv(lambda parts: server.send_multipart([part.upper() for part in parts]))
client = zmqstream.ZMQStream(context.socket(zmq.REQ))
client.connect("tcp://127.0.0.1:%d" % port)
replies = []


def start(done):
    def on_reply(parts):
        replies.append(parts[0])
        if len(replies) == 1000:
            done()
        else:
            client.send(b"hello")
    client.on_recv(on_reply)
    client.send(b"hello")


run(start)
equal([b"HELLO"] * 1000, replies)
server.close()
client.close()
context.term()
