"""A notebook in the browser, used the way a person uses it: by what is seen, clicked and typed."""

import re
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

_PATIENCE = 20_000
_RECORD = """
globalThis.seen = new Set();
new MutationObserver(() => {
    const light = document.querySelector(".jp-Notebook-ExecutionIndicator");
    if (light?.dataset.status) seen.add(light.dataset.status);
    for (const title of document.querySelectorAll(".jp-Dialog-header")) seen.add(title.textContent);
}).observe(document, {subtree: true, childList: true, attributes: true});
"""
"""Notes every state the kernel's light takes, and every dialog."""

expect.set_options(timeout=_PATIENCE)


def watch(page: Page) -> Page:
    """A page that notes what happens to its kernel."""
    page.set_default_timeout(_PATIENCE)
    page.add_init_script(_RECORD)
    return page


class Notebook:
    """The one notebook open in a page, in JupyterLab or in Notebook 7."""

    def __init__(self, page: Page, screenshots: Path) -> None:
        self.page = page
        self.cells = page.locator(".jp-Notebook .jp-CodeCell")
        self._screenshots = screenshots

    def is_connected(self) -> None:
        """Wait until the kernel has said what it can. Cells started earlier are dropped by the front end."""
        expect(self.page.get_by_role("button", name="Enable Debugger")).to_be_enabled()

    def is_idle(self) -> None:
        """Wait until the kernel waits for cells."""
        self.is_connected()
        expect(self.page.get_by_text("Serverless Python | Idle")).to_be_visible()

    def was(self, state: str) -> None:
        """Wait until the kernel's light has shown this state."""
        self.page.wait_for_function("state => seen.has(state)", arg=state)

    def type(self, code: str) -> Locator:
        """Type a cell into the last one, which is empty, and start it; a new one opens below."""
        index = self.cells.count() - 1
        self.cells.nth(index).get_by_role("textbox").fill(code)
        self.page.keyboard.press("Shift+Enter")
        expect(self.cells.nth(index + 1)).to_be_visible()
        return self.cells.nth(index)

    def run(self, code: str) -> Locator:
        """Type a cell and wait until it has ended."""
        cell = self.type(code)
        has_ended(cell)
        return cell

    def does(self, command: str) -> None:
        """Press a button of the notebook's toolbar."""
        self.page.locator(f"jp-button[data-command='{command}']").click()

    def menu(self, title: str, entry: str) -> None:
        """Choose from the menu bar."""
        self.page.get_by_role("menuitem", name=title, exact=True).click()
        self.page.locator(".lm-Menu-itemLabel").get_by_text(entry, exact=True).click()

    def save_as(self, name: str) -> None:
        """Save a new notebook under a name, and wait until its kernel's session has the name too."""
        self.page.keyboard.press("Control+s")
        self.page.get_by_placeholder("File name").fill(name)
        with self.page.expect_response(
            lambda it: it.request.method == "PATCH" and "/api/sessions/" in it.url
        ):
            self.page.keyboard.press("Enter")
        expect(self.page.locator(".jp-mod-dirty")).to_have_count(0)

    def shoot(self, name: str) -> Path:
        """A screenshot of the whole window."""
        path = self._screenshots / f"{name}.png"
        self.page.mouse.move(0, 0)  # what the pointer is on is highlighted
        self.page.screenshot(path=path)
        return path

    def seen(self) -> set[str]:
        """The states of the kernel's light, and the dialogs, since this was asked the last time."""
        seen = set(self.page.evaluate("[...seen]"))
        self.page.evaluate("seen.clear()")
        return seen


def has_ended(cell: Locator) -> None:
    """Wait until the cell shows its number."""
    expect(cell.locator(".jp-InputArea-prompt")).to_have_text(re.compile(r"^\[\d+\]:$"))


def output(cell: Locator) -> Locator:
    """All a cell has put out."""
    return cell.locator(".jp-Cell-outputArea")


def handle(cell: Locator) -> Locator:
    """The part of a slider that one drags."""
    return cell.get_by_role("slider")


def drag(page: Page, cell: Locator, pixels: int) -> None:
    """Drag a cell's slider by so much to the right."""
    knob = handle(cell)
    knob.scroll_into_view_if_needed()
    box = knob.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + pixels, y, steps=5)
    page.mouse.up()
