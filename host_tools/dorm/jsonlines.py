"""Requests and answers over a Unix socket, one line of JSON each: how the dorm's processes are asked and told."""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from dorm.errors import DormError

LINE_LIMIT = 4 * 1024 * 1024  # bytes
ANSWER_S = 30.0
# sun_path has 108 bytes: a longer path is bound by way of its directory's descriptor.
_SUN_PATH = 107

Answer = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


def _short(path: Path) -> tuple[str, int | None]:
    if len(os.fsencode(path)) <= _SUN_PATH:
        return str(path), None
    fd = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    return f"/proc/self/fd/{fd}/{path.name}", fd


@contextlib.asynccontextmanager
async def serve_json(path: Path, answer: Answer) -> AsyncIterator[None]:
    """Listens on the Unix socket `path` (replaced when it exists; mode 0600).

    `answer` gets each request and returns the answer; when it raises, the caller gets `{"error": text}`.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                try:
                    request = json.loads(line)
                    if not isinstance(request, dict):
                        raise ValueError("a request is a JSON object")
                    reply = await answer(request)
                except (DormError, ValueError, KeyError, TypeError, OSError) as error:
                    reply = {"error": str(error) or type(error).__name__}
                writer.write(json.dumps(reply).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):
            pass
        finally:
            writer.close()

    path.unlink(missing_ok=True)
    name, fd = _short(path)
    try:
        server = await asyncio.start_unix_server(serve, name, limit=LINE_LIMIT)
    finally:
        if fd is not None:
            os.close(fd)
    path.chmod(0o600)
    try:
        yield
    finally:
        # Not `async with server`: from Python 3.12 on, that waits for whoever is still connected.
        server.close()


async def ask_json(path: Path, request: dict[str, Any], timeout_s: float = ANSWER_S) -> dict[str, Any]:
    """Sends one request to the Unix socket `path` and returns the answer.

    Raises DormError when it is answered with an error or not within `timeout_s`; OSError when nobody listens there.
    """
    name, fd = _short(path)
    try:
        reader, writer = await asyncio.open_unix_connection(name, limit=LINE_LIMIT)
    finally:
        if fd is not None:
            os.close(fd)
    try:
        writer.write(json.dumps(request).encode() + b"\n")
        await writer.drain()
        async with asyncio.timeout(timeout_s):
            line = await reader.readline()
    except TimeoutError:
        raise DormError(f"{path.name} gave no answer within {timeout_s:g} s.") from None
    except ConnectionError:
        line = b""
    finally:
        writer.close()
    if not line:
        raise DormError(f"{path.name} closed the connection without an answer: its process has probably ended.")
    reply = json.loads(line)
    if not isinstance(reply, dict):
        raise DormError(f"{path.name} answered with something that is no JSON object.")
    if "error" in reply:
        raise DormError(f"{path.name}: {reply['error']}")
    return reply
