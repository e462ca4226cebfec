"""A person's day in JupyterLab: a real server, a real browser, and a kernel whose broker is shot.

With JOURNEY_SCREENSHOTS=FOLDER the pictures are kept there.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab_notebook import Notebook, drag, handle, has_ended, output, watch
from lab_server import TOKEN, JupyterServer
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

pytestmark = pytest.mark.browser
TOUR = Path(__file__).parents[2] / "examples" / "tour.ipynb"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update"]

INTERACT = """
from ipywidgets import interact

@interact(n=(0, 10))
def square(n=3):
    print(n, "squared is", n * n)
"""
FRAME = """
import pandas as pd
frame = pd.DataFrame({"city": ["Oslo", "Lima"], "rain": [763, 6]})
frame
"""


@pytest.fixture(scope="module")
def server() -> Iterator[JupyterServer]:
    """A JupyterLab with a broker of its own; nothing of it may be left behind."""
    server = JupyterServer()
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[BrowserContext]:
    """A Chromium: the system's, else Playwright's own. Its cache is shared by all tests."""
    system = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        if system is None:
            pytest.skip("no chromium is installed")
        chromium = playwright.chromium.launch(executable_path=system, args=FLAGS)
        yield chromium.new_context(viewport={"width": 1400, "height": 900})
        chromium.close()


@pytest.fixture
def screenshots(tmp_path: Path) -> Path:
    folder = Path(os.environ.get("JOURNEY_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def page(server: JupyterServer, browser: BrowserContext) -> Iterator[Page]:
    """A window of its own, showing JupyterLab as it is at first."""
    page = watch(browser.new_page())
    page.goto(f"{server.url}/lab?token={TOKEN}&reset")
    yield page
    page.close()


@pytest.fixture
def notebook(page: Page, screenshots: Path) -> Notebook:
    """A new notebook, made by a click in the launcher."""
    page.locator(".jp-LauncherCard[title*='Serverless Python']").first.click()
    notebook = Notebook(page, screenshots)
    notebook.is_idle()
    return notebook


def test_the_launcher_offers_the_kernel(page: Page, screenshots: Path) -> None:
    cards = page.locator(".jp-LauncherCard", has_text="Serverless Python")
    expect(cards).to_have_count(2)  # a notebook and a console
    logo = cards.first.locator("img")
    expect(logo).to_be_visible()
    assert logo.evaluate("image => image.naturalWidth") > 0
    Notebook(page, screenshots).shoot("launcher")


def test_outputs_of_every_kind(notebook: Notebook) -> None:
    printed = notebook.run("for i in range(3):\n    print('line', i)")
    expect(output(printed)).to_have_text("line 0\nline 1\nline 2\n")
    table = notebook.run(FRAME)
    expect(table.locator("table.dataframe tbody tr").first).to_have_text("0 Oslo 763")
    plot = notebook.run("import matplotlib.pyplot as plt\nplt.figure(figsize=(5, 2))\nplt.plot([1, 3, 2]);")
    image = plot.locator("img[src^='data:image/png']")
    expect(image).to_be_visible()
    assert image.evaluate("image => image.naturalWidth") > 300
    notebook.shoot("outputs")
    raised = notebook.run("def half(x):\n    return 1 / x\nhalf(0)")
    expect(output(raised)).to_contain_text("Cell In[4], line 2")
    expect(output(raised)).to_contain_text("ZeroDivisionError: division by zero")
    bar = notebook.run("from tqdm.auto import tqdm\nprint(sum(tqdm(range(20), 'adding')))")
    expect(bar.locator(".progress-bar")).to_be_visible()
    expect(output(bar)).to_contain_text("20/20")
    expect(output(bar)).to_contain_text("190")
    text_bar = notebook.run("import tqdm\nfor _ in tqdm.tqdm(range(7)): pass")
    expect(output(text_bar)).to_contain_text("7/7")
    notebook.shoot("errors and progress")


def test_a_slider_that_moves(notebook: Notebook) -> None:
    cell = notebook.run(INTERACT)
    expect(output(cell)).to_contain_text("3 squared is 9")
    handle(cell).press("ArrowRight")
    expect(output(cell)).to_contain_text("4 squared is 16")
    drag(notebook.page, cell, 500)
    expect(output(cell)).to_contain_text("10 squared is 100")
    mirror = notebook.run("square.widget.children[0].value")
    expect(output(mirror)).to_contain_text("10")
    notebook.shoot("slider")


def test_a_question_and_two_interrupts(notebook: Notebook) -> None:
    asked = notebook.type("name = input('Who are you? ')\nprint('Hello', name)")
    expect(asked.locator(".jp-Stdin-prompt")).to_have_text("Who are you? ")
    notebook.shoot("question")
    asked.locator("input.jp-Stdin-input").fill("Ada")
    notebook.page.keyboard.press("Enter")
    has_ended(asked)
    expect(output(asked)).to_contain_text("Hello Ada")
    endless = "import time\nprint('running')\nwhile True:\n    time.sleep(0.01)"
    button, keys = notebook.type(endless), lambda: notebook.page.keyboard.press("i")
    expect(output(button)).to_contain_text("running")
    notebook.does("notebook:interrupt-kernel")
    expect(output(button)).to_contain_text("KeyboardInterrupt")
    has_ended(button)
    by_keys = notebook.type(endless)
    expect(output(by_keys)).to_contain_text("running")
    notebook.page.keyboard.press("Escape")
    keys()
    keys()
    expect(output(by_keys)).to_contain_text("KeyboardInterrupt")
    notebook.is_idle()
    notebook.shoot("interrupts")


def test_everything_killed_between_two_cells(notebook: Notebook, server: JupyterServer) -> None:
    notebook.run("total = [1, 2, 3]\ndef add(x):\n    total.append(x)\n    return sum(total)")
    notebook.run(FRAME)
    slider = notebook.run(INTERACT)
    notebook.seen()
    killed = server.kill_broker()
    assert len(killed) >= 3  # the broker, its zygote, a worker
    after = notebook.run("print(add(4), list(frame.city), In[1][:5])")
    expect(output(after)).to_have_text("10 ['Oslo', 'Lima'] total\n")
    expect(after.locator(".jp-InputArea-prompt")).to_have_text("[4]:")
    handle(slider).press("ArrowRight")
    expect(output(slider)).to_contain_text("4 squared is 16")
    notebook.is_idle()
    assert notebook.seen() <= {"idle", "busy"}
    assert not {process.pid for process in server.broker_processes()} & set(killed)
    notebook.shoot("after kill -9")


def test_restart_then_reload(notebook: Notebook) -> None:
    notebook.run("gone = 1")
    notebook.seen()
    notebook.menu("Kernel", "Restart Kernel…")
    notebook.page.get_by_role("button", name="Confirm Kernel Restart").click()
    notebook.was("restarting")
    notebook.is_idle()
    fresh = notebook.run("kept = 2\nprint('gone' in globals())")
    expect(output(fresh)).to_have_text("False\n")
    expect(fresh.locator(".jp-InputArea-prompt")).to_have_text("[1]:")
    slider = notebook.run(INTERACT)
    notebook.save_as("kept.ipynb")
    notebook.page.reload()
    notebook.is_idle()
    expect(output(fresh)).to_have_text("False\n")
    handle(slider).press("ArrowRight")
    expect(output(slider)).to_contain_text("4 squared is 16")
    expect(output(notebook.run("kept + 40"))).to_contain_text("42")
    notebook.shoot("after reload")


def test_the_tour(page: Page, server: JupyterServer, screenshots: Path) -> None:
    shutil.copy(TOUR, server.notebooks)
    page.get_by_role("button", name="Refresh the file browser").click()
    page.get_by_role("listitem", name="tour.ipynb").dblclick()
    tour = Notebook(page, screenshots)
    tour.is_idle()
    tour.menu("Run", "Run All Cells")
    for cell in tour.cells.all():
        has_ended(cell)
    expect(page.locator(".jp-OutputArea-output", has_text="Traceback")).to_have_count(1)  # the one it wants
    expect(output(tour.cells.last)).to_have_text("['before', 'after', '1/0']\n")
    expect(page.locator("table.dataframe tbody tr")).to_have_count(4)
    slider = tour.cells.filter(has=page.get_by_role("slider"))
    handle(slider).press("ArrowRight")
    expect(output(slider)).to_contain_text("August, with")
    page.keyboard.press("Control+b")  # the file browser makes room
    tour.cells.filter(has_text="default_rng").evaluate("it => it.scrollIntoView()")
    tour.shoot("tour")


def test_the_same_notebook_in_notebook_7(server: JupyterServer, page: Page, screenshots: Path) -> None:
    page.locator(".jp-LauncherCard[title*='Serverless Python']").first.click()
    in_lab = Notebook(page, screenshots)
    in_lab.is_idle()
    in_lab.run("made_in_lab = 6")
    in_lab.save_as("both.ipynb")
    page.goto(f"{server.url}/tree")
    with page.expect_popup() as opened:
        page.get_by_role("listitem", name="both.ipynb").dblclick()
    classic = Notebook(watch(opened.value), screenshots)
    classic.is_connected()
    expect(output(classic.run("made_in_lab * 7"))).to_contain_text("42")
    classic.shoot("notebook 7")
