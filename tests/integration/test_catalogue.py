"""书目检索 through real processes: reported at a county, found at every node by its record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

PROVINCE, CITY, COUNTY, COUNTY2 = "320000", "320500", "320581", "320582"
Cli = Callable[..., tuple[int, dict[str, Any], str]]
RECORD = """title = "常熟塘橋水利誌"
kind = "专志"
published = "民国二十三年"
subject = "水利；圩田"
holding = "常熟市图书馆 K295.34/7"
edition = "铅印本"
"""


def asked(cli: Cli, server: Any, query: str) -> dict[str, Any]:
    status, answer, said = cli(
        "catalogue", query, "--node", f"http://{server.web}", "--facets", "--limit", "5"
    )
    assert status == 0, said
    return answer


def test_a_record_is_found_everywhere_until_it_is_withdrawn(
    network: Any, cli: Cli, folder: Path
) -> None:
    package = folder / "塘桥"
    package.mkdir()
    (package / "metadata.toml").write_text(RECORD, encoding="utf-8")
    (package / "正文.bin").write_bytes(b"no text that could be searched")
    status, answer, said = cli("report", network[COUNTY].home, package)
    assert (status, answer["reports"][0]["status"]) == (0, "submitted"), said
    item = answer["reports"][0]["item"]
    everybody = [network[code] for code in (PROVINCE, CITY, COUNTY, COUNTY2)]
    assert [asked(cli, server, "塘桥水利志")["total"] for server in everybody] == [0] * 4
    network.until(lambda: cli("review", network[CITY].home, item, "--pass")[0] == 0)
    for server in everybody:
        network.until(lambda server=server: asked(cli, server, "塘桥水利志")["total"] == 1)
        for query in ("tqslz", "圩田 类型:专志", "馆藏:K295.34 出版:1934", f"编号:{item}"):
            answer = asked(cli, server, query)
            assert [hit["item"] for hit in answer["hits"]] == [item], query
        (record,) = answer["records"]
        assert COUNTY in record["holders"]
        assert {e["name"] for e in record["elements"]} >= {"holding", "edition", "subject"}
        assert COUNTY in record["holders"]
        assert {"field": "kind", "value": "专志", "count": 1} in answer["facets"]
        (province,) = answer["tree"]["place"]
        assert (province["value"], province["below"][0]["below"][0]["value"]) == (PROVINCE, COUNTY)
    assert cli("withdraw", network[COUNTY].home, item, "--reason", "重印")[0] == 0
    for server in everybody:
        network.until(lambda server=server: asked(cli, server, f"编号:{item}")["total"] == 0, 10)
        assert asked(cli, server, f"编号:{item}")["facets"] == []
