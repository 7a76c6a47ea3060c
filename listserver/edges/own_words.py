"""The operator's own words for a list: files LIST/NAME.txt in a folder, read at the start."""

from collections.abc import Collection, Iterator
from pathlib import Path, PurePath

from listserver.addresses import check_domain, check_list_name
from listserver.catalogue import Catalogue, check_own
from recrypt_core.errors import Malformed


def read_own_words(folder: PurePath | None, *, domain: str, domains: Collection[str]) -> Catalogue:
    """Read all of them; LIST is a list's name, or its address if it isn't at the first domain.

    Raises:
        Malformed: with the file, and the line if it is known.
    """
    if folder is None:
        return Catalogue()
    own: dict[str, dict[str, str]] = {}
    for place in _entries(Path(folder), "the folder"):
        name, at, its_domain = place.name.partition("@")
        try:
            check_list_name(name)
            check_domain(its_domain if at else domain)
        except Malformed as problem:
            raise Malformed(f"{place.name}: not the name of a list") from problem
        if at and its_domain not in domains:
            raise Malformed(f"{place.name}: no list can be at this domain")
        address = place.name if at else f"{name}@{domain}"
        texts = own.setdefault(address, {})
        for file in _entries(place, place.name):
            texts[file.stem] = _read(file, f"{place.name}/{file.name}")
    return Catalogue(own)


def _entries(folder: Path, what: str) -> Iterator[Path]:
    """Give what is in a folder, but for hidden files."""
    try:
        found = sorted(folder.iterdir())
    except OSError as problem:
        raise Malformed(f"{what} can't be read ({problem.strerror})") from problem
    return (each for each in found if not each.name.startswith("."))


def _read(file: Path, what: str) -> str:
    if file.suffix != ".txt":
        raise Malformed(f"{what}: its name must end in .txt")
    try:
        text = file.read_text("utf-8-sig")
    except OSError as problem:
        raise Malformed(f"{what} can't be read ({problem.strerror})") from problem
    except UnicodeDecodeError as problem:
        raise Malformed(f"{what} isn't UTF-8") from problem
    text = text.rstrip("\n") + "\n" if "\n" in text.rstrip("\n") else text.rstrip("\n")
    try:
        check_own(file.stem, text)
    except Malformed as problem:
        raise Malformed(f"{what}, {problem}") from problem
    return text
