"""Commands, a pipeline, and messages of a channel."""
from __future__ import absolute_import, division, print_function

import tornadoredis
from scenario import Redis, equal, run

with Redis() as port:
    client = tornadoredis.Client(host="127.0.0.1", port=port)
    client.connect()
    equal(True, run(lambda done: client.set("key", "value", callback=done)))
    equal("value", run(lambda done: client.get("key", callback=done)))
    pipe = client.pipeline()
    pipe.incr("n")
    pipe.incr("n")
    equal([1, 2], run(lambda done: pipe.execute(callback=done)))

    listener = tornadoredis.Client(host="127.0.0.1", port=port)
    listener.connect()
    run(lambda done: listener.subscribe("channel", callback=done))
    messages = []

    def listen(done):
        def on_message(message):
            messages.append((message.kind, message.body))
            if message.kind == "message":
                done()
        listener.listen(on_message)
        client.publish("channel", "hello")

    run(listen)
    equal(("message", "hello"), messages[-1])
