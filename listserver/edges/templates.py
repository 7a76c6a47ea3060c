"""The pages' build and looks: Jinja2 templates, in `html/` and in a folder of the operator's."""

from base64 import b64encode
from collections.abc import Callable, Sequence
from hashlib import sha256
from html import escape
from pathlib import Path, PurePath
from typing import Final

import jinja2
import segno

from listserver.catalogue import Texts
from recrypt_core.errors import Malformed

_STYLE: Final = "style.css"


class Templates:
    """Renders pages; what the operator's folder has is taken from there."""

    def __init__(self, folder: PurePath | None = None) -> None:
        """Read all of them: later changes of the files need a new start.

        Raises:
            Malformed: one can't be read, or isn't in the language of Jinja2; it is named.
        """
        if folder is not None and not Path(folder).is_dir():
            raise Malformed(f"there is no folder {folder}")
        ours = Path(__file__).with_name("html")
        folders = [ours] if folder is None else [Path(folder), ours]
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(folders),
            autoescape=True,
            auto_reload=False,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        style = self._read(sorted(file.name for file in ours.glob("*.html")))
        self._environment.globals["style"] = style
        digest = b64encode(sha256(style.encode()).digest()).decode("ascii")
        self.style_source: Final = f"'sha256-{digest}'"
        """What a Content-Security-Policy calls the one style by that stands in the pages."""

    def render(self, name: str, texts: Texts, **words: object) -> str:
        """Render a page, with all words escaped; `say` in it gives a text, which is HTML.

        Raises:
            Malformed: its template asks for a word or a text that isn't there.
        """
        known = {"say": _say(texts), "language": texts.language.value, **words}
        try:
            return self._environment.get_template(f"{name}.html").render(known)
        except jinja2.TemplateError as problem:
            raise Malformed(f"{name}.html: {problem.message}") from problem
        except KeyError as problem:
            raise Malformed(f"{name}.html: there is no text or value {problem}") from problem

    def _read(self, names: Sequence[str]) -> str:
        """Read every template, so that a fault shows at the start; give the style."""
        try:
            for name in names:
                self._environment.get_template(name)
            # Not as a template: a style has braces. And a "<" could end it.
            loader = self._environment.loader
            source = "" if loader is None else loader.get_source(self._environment, _STYLE)[0]
        except jinja2.TemplateSyntaxError as problem:
            where = f"{problem.name}, line {problem.lineno}"
            raise Malformed(f"{where}: {problem.message}") from problem
        except (OSError, UnicodeDecodeError, jinja2.TemplateError) as problem:
            raise Malformed(f"a template can't be read ({type(problem).__name__})") from problem
        if "<" in source:
            raise Malformed(f'{_STYLE} has a "<" in it: a style can\'t')
        return source.strip()


class _Html(str):
    """HTML, as it is to stand in a page."""

    __slots__ = ()

    def __html__(self) -> str:
        """Tell Jinja2 that this is escaped."""
        return str(self)


def _say(texts: Texts) -> Callable[..., _Html]:
    def say(text: str, **values: object) -> _Html:
        return _Html(texts.say(text, **{key: escape(str(each)) for key, each in values.items()}))

    return say


def qr_code(text: str) -> str:
    """Draw a QR code as SVG, with a margin, black on white in the dark too: so cameras read it."""
    code = segno.make(text, error="m", micro=False, boost_error=False)
    return code.svg_inline(
        border=4, dark="#000", light="#fff", omitsize=True, svgclass="qr", lineclass=None
    )
