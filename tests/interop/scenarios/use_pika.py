"""TornadoConnection: a queue is declared, and a message goes to a real RabbitMQ and comes back."""
from __future__ import absolute_import, division, print_function

import os

import pika
from pika.adapters.tornado_connection import TornadoConnection
from scenario import equal, run

connection = run(lambda done: TornadoConnection(
    pika.ConnectionParameters("127.0.0.1", int(os.environ["RABBITMQ_PORT"])), done))
channel = run(lambda done: connection.channel(done))
run(lambda done: channel.queue_declare(done, "queue", exclusive=True))
channel.basic_publish("", "queue", "hello")
_, _, _, body = run(lambda done: channel.basic_consume(
    lambda *message: done(*message), "queue", no_ack=True))
equal(b"hello", body)
closed = []
run(lambda done: (connection.add_on_close_callback(lambda *args: done()), connection.close()))
