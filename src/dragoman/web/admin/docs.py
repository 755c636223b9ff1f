"""The description of the admin API: the OpenAPI document, and a page of our own that shows it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Request, Response

from dragoman.web.admin.routing import room, who

router = room("docs")

_PAGES = Path(__file__).parent / "pages"


@cache
def _page(name: str) -> bytes:
    return (_PAGES / name).read_bytes()


@router.get("/openapi.json", openapi_extra=who("viewer"), include_in_schema=False)
async def document(request: Request) -> dict[str, Any]:
    """OpenAPI 3.1."""
    from dragoman.web.admin.app import openapi

    return openapi(request.app)


@router.get("/docs", openapi_extra=who("viewer"), include_in_schema=False)
async def page() -> Response:
    """The page; it reads the document beside it."""
    return Response(_page("docs.html"), media_type="text/html")


@router.get("/docs.js", openapi_extra=who("viewer"), include_in_schema=False)
async def script() -> Response:
    """The page's script."""
    return Response(_page("docs.js"), media_type="text/javascript")


@router.get("/docs.css", openapi_extra=who("viewer"), include_in_schema=False)
async def style() -> Response:
    """The page's style."""
    return Response(_page("docs.css"), media_type="text/css")
