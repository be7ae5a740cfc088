"""The page's application: some files, the facts, and one answer to one picture.

What enters: HTTP requests that the guard let through. What leaves: files of page/, JSON. Always
holds: a picture's bytes are counted while they come and refused when they are too many; the device
has one request at a time, a few wait, more are told to come again; a mistake of the user and a
device that is gone are answers with words, never a traceback.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from mbn import core
from mbn.core.errors import MbnError, UsageError
from mbn.live.answer import Answer, Thinker
from mbn.live.guard import Guard

PAGE = Path(__file__).parent / "page"
PALETTE = Path(core.__file__).parent / "palette.css"
FILES = {
    "/": (PAGE / "live.html", "text/html; charset=utf-8"),
    "/live.js": (PAGE / "live.js", "text/javascript; charset=utf-8"),
    "/live.css": (PAGE / "live.css", "text/css; charset=utf-8"),
    "/palette.css": (PALETTE, "text/css; charset=utf-8"),
    "/icon.svg": (PAGE / "icon.svg", "image/svg+xml"),
}
MOST_BYTES = 16 << 20  # of a picture file
MOST_WAITING = 4  # requests for the device, the one that runs included


class TooMuchError(Exception):
    """A body beyond MOST_BYTES."""


def application(thinker: Thinker, token: str, port: int) -> ASGIApp:
    """The guarded application; `port`: the one that it is served on."""
    return Guard(_plain(thinker), token, port)


def _plain(thinker: Thinker) -> Starlette:
    # One thread for all: the device's, which also keeps an emulator alive, as that ends with the
    # thread that started it.
    worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="device")
    waiting = 0

    async def facts(_: Request) -> Response:
        return JSONResponse(thinker.facts.json() | {"most_bytes": MOST_BYTES})

    async def picture(request: Request) -> Response:
        nonlocal waiting
        if waiting >= MOST_WAITING:
            return _error(503, "the device is busy with other pictures: try again", "busy")
        waiting += 1
        try:
            data = await _body(request)
            loop = asyncio.get_running_loop()
            found: Answer = await loop.run_in_executor(worker, thinker.answer, data)
            return JSONResponse(found.json())
        except TooMuchError:
            return _error(413, f"a picture of more than {MOST_BYTES >> 20} MiB", "picture")
        except ClientDisconnect:
            return _error(400, "the picture did not come whole", "picture")
        except UsageError as error:
            return _error(422, str(error), "picture")
        except (MbnError, OSError) as error:
            return _error(502, str(error), "device")
        finally:
            waiting -= 1

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        worker.shutdown(wait=False, cancel_futures=True)

    routes = [Route(path, _file(place, kind)) for path, (place, kind) in FILES.items()]
    routes += [Route("/api/facts", facts), Route("/api/picture", picture, methods=["POST"])]
    return Starlette(routes=routes, lifespan=lifespan)


def _file(place: Path, kind: str) -> Callable[[Request], Response]:
    data = place.read_bytes()

    def get(_: Request) -> Response:
        return Response(data, headers={"content-type": kind})

    return get


async def _body(request: Request) -> bytes:
    """The request's body, as far as it is allowed to go."""
    said = request.headers.get("content-length", "0")
    if said.isdigit() and int(said) > MOST_BYTES:
        raise TooMuchError
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > MOST_BYTES:
            raise TooMuchError
    return bytes(data)


def _error(status: int, words: str, kind: str) -> Response:
    """`kind`: whether picture, device or a busy device is to blame."""
    return JSONResponse({"error": words, "kind": kind}, status)
