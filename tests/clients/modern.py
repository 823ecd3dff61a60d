"""A client on the official Python SDK in the era of 2026-07-28 that does what its first argument, a JSON array of
steps, says, and prints what it saw of each as one JSON line. After the steps: a URL, or a command and its arguments.
A token in TEST_TOKEN is sent along."""
import asyncio
import json
import os
import sys
from contextlib import AsyncExitStack

import httpx2
from mcp import Client, StdioServerParameters, types
from mcp.client.streamable_http import streamable_http_client

SEEN = {"elicitation": 0, "sampling": 0, "roots": 0, "listChanged": 0}


async def elicited(_context, params):
    SEEN["elicitation"] += 1
    field = next(iter(params.requested_schema["properties"]))
    return types.ElicitResult(action="accept", content={field: "Ada"})


async def sampled(_context, _params):
    SEEN["sampling"] += 1
    content = types.TextContent(type="text", text="sampled words")
    return types.CreateMessageResult(role="assistant", model="test", content=content)


async def rooted(_context):
    SEEN["roots"] += 1
    return types.ListRootsResult(roots=[types.Root(uri="file:///tmp/root-of-the-test", name="root")])


async def call(client, step):
    progress = []
    enough = asyncio.Event()

    async def told(value, _total, _message):
        progress.append(value)
        if len(progress) == step.get("abortAfter"):
            enough.set()

    async def asked():
        try:
            result = await client.call_tool(step["name"], step.get("args", {}), progress_callback=told)
        except Exception as error:
            return {"thrown": repr(error)}
        return result.model_dump(mode="json", by_alias=True, exclude_none=True)

    asking = asyncio.create_task(asked())
    waiting = asyncio.create_task(enough.wait())
    await asyncio.wait({asking, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not asking.done():
        asking.cancel("enough")
        await asyncio.wait({asking})
        return {"thrown": "enough", "progress": progress}
    return {**asking.result(), "progress": progress}


async def listen(client, step):
    async with client.listen(tools_list_changed=True) as subscription:
        said = await call(client, {"name": step["by"]})
        await anext(subscription)
        SEEN["listChanged"] += 1
        honored = subscription.honored.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {"honored": honored, "closed": "local", "said": said}


async def do(client, step):
    match step["do"]:
        case "discover":
            found = client.session.discover_result
            capabilities = found.capabilities.model_dump(mode="json", by_alias=True, exclude_none=True)
            return {
                "era": "modern" if client.protocol_version == "2026-07-28" else "legacy",
                "supportedVersions": found.supported_versions,
                "capabilities": sorted(capabilities),
            }
        case "list":
            return [tool.name for tool in (await client.list_tools()).tools]
        case "call":
            return await call(client, step)
        case "together":
            return await asyncio.gather(*(call(client, each) for each in step["calls"]))
        case "resource":
            read = await client.read_resource(step["uri"])
            return read.model_dump(mode="json", by_alias=True, exclude_none=True)
        case "listen":
            return await listen(client, step)


async def main():
    steps, target, *args = sys.argv[1:]
    token = os.environ.get("TEST_TOKEN")
    async with AsyncExitStack() as stack:
        if target.startswith("http://"):
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            http = await stack.enter_async_context(httpx2.AsyncClient(headers=headers, timeout=60))
            server = streamable_http_client(target, http_client=http)
        else:
            server = StdioServerParameters(command=target, args=args, env=dict(os.environ))
        client = Client(
            server,
            mode="auto",
            sampling_callback=sampled,
            elicitation_callback=elicited,
            list_roots_callback=rooted,
        )
        client = await stack.enter_async_context(client)
        for step in json.loads(steps):
            try:
                saw = await do(client, step)
            except Exception as error:
                saw = {"thrown": repr(error)}
            print(json.dumps({"saw": saw, "seen": SEEN}), flush=True)


asyncio.run(main())
