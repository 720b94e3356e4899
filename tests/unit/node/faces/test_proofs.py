from __future__ import annotations

import re

from aiohttp import ClientSession

from node.faces.portal import SCRIPT_POLICY, static_bytes
from node.faces.proofs import STEPS
from tests.fake_service import BOOK, HIDDEN, YEARBOOK


async def test_the_page_names_every_step_that_its_script_checks(client: ClientSession) -> None:
    response = await client.get(f"/items/{BOOK}/proof")
    assert response.status == 200
    assert response.headers["Content-Security-Policy"] == SCRIPT_POLICY
    page = await response.text()
    assert tuple(re.findall(r'data-step="(\w+)"', page)) == STEPS
    assert f"const STEPS = {list(STEPS)}".replace("'", '"') in static_bytes("chain.js").decode()
    assert "<script>" not in page
    assert re.findall(r"<script[^>]*src=\"([^?\"]+)", page) == ["/static/proof.js"]


async def test_parts_that_the_script_looks_for_are_there(client: ClientSession) -> None:
    page = await (await client.get(f"/items/{BOOK}/proof")).text()
    script = static_bytes("proof.js").decode()
    for name in set(re.findall(r'part\("([\w-]+)"\)', script)):
        assert f'data-part="{name}"' in page, name
    for verdict in set(re.findall(r'conclude\("(\w+)"\)', script)):
        assert f'data-when="{verdict}"' in page, verdict


async def test_scripts_import_what_is_served_and_are_asked_for_again(client: ClientSession) -> None:
    seen, left = set(), {"proof.js"}
    while left:
        name = left.pop()
        seen.add(name)
        response = await client.get(f"/static/{name}")
        assert response.content_type == "text/javascript"
        assert response.headers["Cache-Control"] == "no-cache"
        left |= set(re.findall(r'from "\./([\w.]+)"', await response.text())) - seen
    assert seen == {"bytes.js", "chain.js", "events.js", "proof.js", "roster.js", "tlog.js"}


async def test_what_cannot_be_proven_yet_or_seen_is_refused(client: ClientSession) -> None:
    assert (await client.get(f"/api/v1/items/{BOOK}/proof")).content_type == "application/json"
    assert (await client.get(f"/api/v1/items/{YEARBOOK}/proof")).status == 503
    for path in (f"/api/v1/items/{HIDDEN}/proof", f"/items/{HIDDEN}/proof"):
        assert (await client.get(path)).status in (403, 404)


async def test_the_item_page_leads_to_its_proof(client: ClientSession) -> None:
    page = await (await client.get(f"/items/{BOOK}")).text()
    assert f'href="/items/{BOOK}/proof"' in page
