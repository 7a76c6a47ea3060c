"""Write docs/openapi.json and docs/messages.md: `python -m reference`."""

import json
from pathlib import Path
from typing import Final

from reference.cast import read_cast
from reference.openapi import document
from reference.page import page

DOCS: Final = Path(__file__).parent.parent / "docs"


def made() -> dict[str, str]:
    """Make the pages, by their names in docs/."""
    cast = read_cast()
    spec = (DOCS / "spec.md").read_text("utf-8")
    return {
        "openapi.json": json.dumps(document(cast), ensure_ascii=False, indent=1) + "\n",
        "messages.md": page(cast, spec),
    }


if __name__ == "__main__":
    for name, text in made().items():
        (DOCS / name).write_text(text, "utf-8")
