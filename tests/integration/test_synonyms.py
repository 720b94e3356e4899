"""The province's table of synonyms through real processes: put, fetched, used, shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

PROVINCE, COUNTY = "320000", "320581"


def test_a_table_reaches_every_node(
    network: Any, cli: Callable[..., tuple[int, dict[str, Any], str]], folder: Path
) -> None:
    table = folder / "table.txt"
    table.write_text("自来水公司，水厂 # 简称\n", "utf-8-sig")
    status, put, said = cli("synonyms", "put", network[PROVINCE].home, table)
    assert status == 0, said
    network.until(lambda: network[COUNTY].status()["synonyms"] == put["version"])
    _, shown, _ = cli("synonyms", "show", network[COUNTY].home)
    assert shown["text"] == "# fangzhi synonyms v1\n自来水公司 水厂 # 简称\n"
    _, answer, _ = cli("search", "水厂", "--node", network[COUNTY].home)
    told = {"rule": "synonym", "typed": "水厂", "taken_for": "自来水公司（简称，同义词表第1版）"}
    assert told in answer["notes"]
    status, _, said = cli("synonyms", "put", network[COUNTY].home, table)
    assert status == 1
    assert "provincial node" in said
    table.write_text("水厂\n")
    assert cli("synonyms", "put", network[PROVINCE].home, table)[0] == 2, "one word is no group"
