"""The page on which a clerk hands in, and another people's tus client in the same browser."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from node.faces.portal import static_bytes
from node.office.answers import Asker
from tests.fake_service import BOOK, FakeService

pytestmark = pytest.mark.page

Open = Callable[..., Page]
PIECE = 2**20
JAVASCRIPT = "text/javascript"


@pytest.fixture(autouse=True)
def nothing_received(service: FakeService) -> Iterator[None]:
    service.received, service.announced = {}, []
    yield
    service.calls.clear()


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "玉山志"
    (folder / "卷一").mkdir(parents=True)
    (folder / "metadata.toml").write_text(
        'title = "玉山志"\nkind = "旧志"\nvolume = "卷一"\n', "utf-8"
    )
    (folder / "卷一" / "正文.txt").write_text("玉山在县西三里。", "utf-8")
    (folder / "卷一" / ".DS_Store").write_bytes(b"x")
    (folder / "图.bin").write_bytes(bytes(range(256)) * (10 * 2**10))  # 2.5 pieces
    return folder


def filled(open_page: Open, package: Path, path: str = "/report") -> Page:
    page = open_page(path)
    page.locator("[name=token]").fill("clerk-token")
    page.locator("[name=folder]").set_input_files(package)
    expect(page.locator("[data-part=chosen]")).to_contain_text("2")
    return page


def told(page: Page, state: str) -> None:
    expect(page.locator("[data-part=told]")).to_have_attribute("data-state", state, timeout=15_000)


def test_a_folder_is_handed_in(open_page: Open, package: Path, service: FakeService) -> None:
    page = filled(open_page, package)
    expect(page.locator("[name=title]")).to_have_value("玉山志")
    expect(page.locator("[name=kind]")).to_have_value("旧志")
    page.get_by_role("button", name="报送").click()
    told(page, "submitted")
    expect(page.get_by_role("link", name="查看资源")).to_have_attribute("href", f"/items/{BOOK}")
    begun = next(call[1] for call in service.calls if call[0] == "begin")
    assert begun["record"] == {"title": "玉山志", "kind": "旧志", "volume": "卷一"}
    assert [file["path"] for file in begun["files"]] == ["卷一/正文.txt", "图.bin"]
    assert all(file["modified"] > 1_600_000_000_000 for file in begun["files"])
    assert service.received["r1", 1] == (package / "图.bin").read_bytes()
    assert page.locator("progress").nth(1).evaluate("bar => bar.value === bar.max")


def test_a_cut_line_goes_on_where_it_was(
    open_page: Open, package: Path, service: FakeService
) -> None:
    page = filled(open_page, package)
    cut: list[str] = []

    def break_once(route: Route) -> None:
        if route.request.method == "PATCH" and len(cut) < 2 and service.received["r1", 1]:
            cut.append(route.request.headers["upload-offset"])
            route.abort()
        else:
            route.fallback()

    page.route("**/files/1", break_once)
    page.get_by_role("button", name="报送").click()
    told(page, "submitted")
    assert cut == [str(PIECE)] * 2
    offsets = [call[3] for call in service.calls if call[:3] == ("receive", "r1", 1)]
    assert offsets == [0, PIECE, 2 * PIECE]
    assert service.received["r1", 1] == (package / "图.bin").read_bytes()


def test_twenty_cuts_cost_no_byte_twice(
    open_page: Open, tmp_path: Path, service: FakeService
) -> None:
    """A line that breaks before a piece, or before its answer: what came through is not sent."""
    small = 2**12
    content = os.urandom(21 * small + 5)
    (tmp_path / "图.bin").write_bytes(content)
    page = open_page("/network")
    script = static_bytes("report.js").decode().replace("2 ** 20", "2 ** 12")
    script = script.replace("let pause = 250", "let pause = 5").replace(
        "pause = 250;", "pause = 5;"
    )
    page.route("**/report.js*", lambda route: route.fulfill(body=script, content_type=JAVASCRIPT))
    page.goto("/report")
    page.locator("[name=token]").fill("clerk-token")
    page.locator("[name=title]").fill("图")
    page.locator("[name=files]").set_input_files(tmp_path / "图.bin")
    cuts: list[str] = []

    def cut(route: Route) -> None:
        offset = route.request.headers.get("upload-offset", "")
        if route.request.method != "PATCH" or offset in cuts or len(cuts) == 20:
            route.fallback()
            return
        cuts.append(offset)
        if len(cuts) % 2:
            route.fetch()  # it arrives, and nobody hears of it
        route.abort()

    page.route("**/files/0", cut)
    page.get_by_role("button", name="报送").click()
    told(page, "submitted")
    assert len(cuts) == 20
    assert service.received["r1", 0] == content
    offsets = [call[3] for call in service.calls if call[:3] == ("receive", "r1", 0)]
    assert offsets == [number * small for number in range(22)]


def test_the_keyboard_hands_in(open_page: Open, package: Path, service: FakeService) -> None:
    page = open_page("/report")
    page.locator("[name=token]").focus()
    page.keyboard.type("clerk-token")
    names = []
    for _ in range(8):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.name"))
    assert names == ["office", "title", "volume", "kind", "rights", "known", "folder", "files"]
    label = page.locator("label.button:focus-within")
    assert label.evaluate("label => getComputedStyle(label).outlineStyle") == "solid"
    page.locator("[name=folder]").set_input_files(package)
    expect(page.get_by_role("button", name="报送")).to_be_enabled()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    told(page, "submitted")
    expect(page.locator("[data-part=stop]")).to_be_hidden()
    expect(page.get_by_role("link", name="查看资源")).to_be_focused()


def test_a_revision_says_only_what_is_new(
    open_page: Open, package: Path, service: FakeService
) -> None:
    (package / "metadata.toml").unlink()
    page = filled(open_page, package)
    expect(page.locator("[name=title]")).to_have_value("玉山志")
    page.locator("[name=known]").fill(BOOK)
    page.get_by_role("button", name="报送").click()
    told(page, "submitted")
    begun = next(call[1] for call in service.calls if call[0] == "begin")
    assert (begun["item"], begun["record"], begun["rights"]) == (BOOK, {}, "")


def test_a_file_that_is_here_already_is_said(
    open_page: Open, package: Path, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = service.submit_report
    same = {"code": "Q011", "severity": "warning", "path": "图.bin", "pages": []}
    words = {"zh": "同样的文件已在《玉山志》中。", "en": "The same file is in 玉山志."}

    async def doubled(report: str, confirm: bool, asker: Asker) -> dict[str, Any]:
        return {**await submit(report, confirm, asker), "findings": [{**same, **words}]}

    monkeypatch.setattr(service, "submit_report", doubled)
    page = filled(open_page, package)
    page.get_by_role("button", name="报送").click()
    told(page, "submitted")
    expect(page.locator("[data-part=findings] li")).to_have_text(
        "警告 同样的文件已在《玉山志》中。 Q011 · 图.bin"
    )


def test_after_a_pause_it_goes_on(open_page: Open, package: Path, service: FakeService) -> None:
    page = filled(open_page, package)

    def pause(route: Route) -> None:
        if route.request.method == "PATCH" and route.request.headers["upload-offset"] != "0":
            page.locator("[data-part=stop]").evaluate("button => button.click()")
            route.abort()
        else:
            route.fallback()

    page.route("**/files/1", pause)
    page.get_by_role("button", name="报送").click()
    told(page, "stopped")
    assert len(service.received["r1", 1]) == PIECE
    assert not any(call[0] == "submit" for call in service.calls)


def test_a_near_title_is_a_question(open_page: Open, package: Path, service: FakeService) -> None:
    page = filled(open_page, package, "/report?lang=en")
    page.locator("[name=title]").fill("相近")
    page.get_by_role("button", name="Hand in").click()
    question = page.get_by_role("region", name="Something near is here already")
    expect(question).to_contain_text("A near title.")
    question.get_by_role("button", name="Do not hand in").click()
    told(page, "stopped")
    assert service.received == {}
    page.get_by_role("button", name="Hand in").click()
    question.get_by_role("button", name="It is another one").click()
    told(page, "submitted")
    assert [call[1]["confirm"] for call in service.calls if call[0] == "begin"] == [
        False,
        False,
        True,
    ]


def test_it_fits_a_phone(open_page: Open, package: Path) -> None:
    page = open_page("/report", width=360, height=740)
    page.locator("[name=folder]").set_input_files(package)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    expect(page.get_by_role("button", name="报送")).to_be_enabled()


TUS = """async ([token, text]) => {
  const options = { endpoint: "/api/v1/reports/r1/files", chunkSize: 300_000,
    headers: { Authorization: `Bearer ${token}` }, metadata: { filename: "图.bin" },
    retryDelays: [10, 10, 10] };
  const blob = new Blob([text.repeat(100_000)]);
  const first = await new Promise((resolve, reject) => {
    const upload = new tus.Upload(blob, { ...options, onError: reject,
      onChunkComplete: async () => { await upload.abort(); resolve(upload.url); } });
    upload.start();
  });
  await new Promise((resolve, reject) => new tus.Upload(blob, {
    ...options, uploadUrl: first, onError: reject, onSuccess: resolve }).start());
  await new Promise((resolve, reject) => new tus.Upload(blob, {
    ...options, onError: reject, onSuccess: resolve, overridePatchMethod: true,
    metadata: { filename: "二.bin" }, uploadDataDuringCreation: true }).start());
  await tus.Upload.terminate(first, options);
  return first;
}"""


def test_tus_js_client_resumes_and_terminates(
    open_page: Open, service: FakeService, node_modules: Path
) -> None:
    tus_js = node_modules / "tus-js-client" / "dist" / "tus.min.js"
    page = open_page("/network")
    page.route("**/tus.js", lambda route: route.fulfill(path=tus_js))
    listed = [{"path": name, "size": 1_200_000} for name in ("图.bin", "二.bin")]
    asked = {"record": {"title": "样书"}, "rights": "open", "files": listed}
    page.route(
        "**/csp", lambda route: route.fulfill(body="<!doctype html>", content_type="text/html")
    )
    page.goto("/csp")  # a page without our policy, at our origin
    headers = {"Authorization": "Bearer clerk-token"}
    assert page.request.post("/api/v1/reports", data=asked, headers=headers).status == 201
    page.add_script_tag(url="/tus.js")
    assert page.evaluate(TUS, ["clerk-token", "0123456789ab"]).endswith("/files/0")
    assert service.received["r1", 1] == b"0123456789ab" * 100_000
    assert service.received["r1", 0] == b""
    offsets = [call[3] for call in service.calls if call[:3] == ("receive", "r1", 0)]
    assert offsets == [0, 300_000, 600_000, 900_000]
