"""What ``status`` prints, in words that an operator knows."""

from __future__ import annotations

from node.cli.asking import figures


def test_status_names_every_state_and_says_when_nobody_is_linked() -> None:
    items = {"submitted": 5, "accepted": 4, "returned": 3, "withdrawn": 2, "public": 1}
    answer = {"spooled": 6, "items": items, "blobs": 7, "blob_bytes": 3 << 20, "links": []}
    counted = {"short_total": 0, "damaged": 0, "resident_bytes": 80 << 20, "synonyms": 0}
    whole = {**answer, **counted, "counters": {}}
    lines = dict(figures(whole))
    assert lines["待登记 waiting events"] == "6"
    assert lines["条目 items of this node's offices"] == (
        "待审 submitted 5，已审 accepted 4，退回 returned 3，下架 withdrawn 2，公开 public 1"
    )
    assert lines["文件 files"] == "7，3.0 MiB"
    assert lines["链接 links"] == lines["同义词表 synonyms"] == "无 none"
    assert lines["内存 memory"] == "80 MiB"
    assert "待其日志到达的报送盘 disks that wait for their log" not in lines
    waiting = dict(figures({**whole, "counters": {"waiting.disks": 2}}))
    assert waiting["待其日志到达的报送盘 disks that wait for their log"] == "2"
