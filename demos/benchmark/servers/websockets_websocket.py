"""websockets on uvloop: an echo, without compression."""
from __future__ import absolute_import, division, print_function

import asyncio
import sys

import answering
import uvloop
from websockets.asyncio.server import serve


async def echo(connection):
    async for message in connection:
        await connection.send(answering.answer(message))


async def main():
    async with serve(echo, "127.0.0.1", int(sys.argv[1]), compression=None):
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
