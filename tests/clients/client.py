"""A client on the official Python SDK that does what its first argument, a JSON array of steps, says, and prints
what it saw of each as one JSON line. After the steps: a URL, or a command and its arguments."""
import asyncio
import json
import os
import sys
from contextlib import AsyncExitStack

from mcp import ClientSession, StdioServerParameters, stdio_client
from mcp import types
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client

SEEN = {"sampling": 0, "elicitation": 0, "roots": 0}


async def sampled(_context, _params):
    SEEN["sampling"] += 1
    content = types.TextContent(type="text", text="sampled words")
    return types.CreateMessageResult(role="assistant", model="test", content=content)


async def elicited(_context, _params):
    SEEN["elicitation"] += 1
    return types.ElicitResult(action="decline")


async def rooted(_context):
    SEEN["roots"] += 1
    return types.ListRootsResult(roots=[types.Root(uri="file:///tmp/root-of-the-test", name="root")])


async def call(session, step):
    progress = []

    async def told(value, _total, _message):
        progress.append(value)

    try:
        result = await session.call_tool(step["name"], step.get("args", {}), progress_callback=told)
    except Exception as error:
        return {"thrown": repr(error), "progress": progress}
    return {**result.model_dump(mode="json", by_alias=True, exclude_none=True), "progress": progress}


async def do(session, step):
    match step["do"]:
        case "list":
            return [tool.name for tool in (await session.list_tools()).tools]
        case "call":
            return await call(session, step)
        case "together":
            return await asyncio.gather(*(call(session, each) for each in step["calls"]))
        case "ping":
            return (await session.send_ping()).model_dump(mode="json")


async def main():
    steps, target, *args = sys.argv[1:]
    async with AsyncExitStack() as stack:
        if target.startswith("http://") and target.endswith("/sse"):
            transport = sse_client(target)
        elif target.startswith("http://"):
            transport = streamable_http_client(target)
        else:
            server = StdioServerParameters(command=target, args=args, env=dict(os.environ))
            transport = stdio_client(server)
        streams = await stack.enter_async_context(transport)
        session = ClientSession(
            streams[0],
            streams[1],
            sampling_callback=sampled,
            elicitation_callback=elicited,
            list_roots_callback=rooted,
        )
        session = await stack.enter_async_context(session)
        await session.initialize()
        for step in json.loads(steps):
            saw = await do(session, step)
            print(json.dumps({"saw": saw, "seen": SEEN}), flush=True)


asyncio.run(main())
