"""The pages of docs/ that the program knows are as it is now."""

import runpy

from tests.conftest import PROJECT

DOCS = PROJECT / "docs"


def test_the_pages_that_the_program_knows_are_up_to_date():
    """Where they are not: make docs"""
    pages = runpy.run_path(str(DOCS / "make_docs.py"))["pages"]()
    for name, text in pages.items():
        assert (DOCS / name).read_text() == text, f"{name} is out of date: make docs"
    losses = {f"losses/{page.name}" for page in (DOCS / "losses").glob("*")}
    assert losses == {name for name in pages if name.startswith("losses/")}, (
        "no page of a loss gone"
    )
