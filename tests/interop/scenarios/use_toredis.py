"""Commands, a thousand in a row, and messages of a channel."""
from __future__ import absolute_import, division, print_function

import toredis
from scenario import Redis, equal, run

with Redis() as port:
    client, listener = toredis.Client(), toredis.Client()
    run(lambda done: client.connect("127.0.0.1", port, callback=done))
    run(lambda done: listener.connect("127.0.0.1", port, callback=done))
    equal(b"OK", run(lambda done: client.set("key", "value", callback=done)))
    equal(b"value", run(lambda done: client.get("key", callback=done)))

    def count(done):
        for _ in range(999):
            client.incr("n")
        client.incr("n", callback=done)

    equal(1000, run(count))
    got = []

    def listen(done):
        def on_message(message):
            got.append(message)
            if message[0] == b"message":
                done()
            else:
                client.publish("channel", "hello")
        listener.subscribe("channel", callback=on_message)

    run(listen)
    equal([b"message", b"channel", b"hello"], got[-1])
