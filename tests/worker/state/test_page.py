"""The page on what travels says what the tests show."""

from worker.state.page import PAGE, filled


def test_the_page_has_the_tables_of_the_tests() -> None:
    page = PAGE.read_text()
    assert filled(page) == page, "run: python tests/worker/state/page.py"
