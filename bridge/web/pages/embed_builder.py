"""The embed builder of a timetable's page: the settings of the code for other sites, and the code.

Its parameters are those of embedded timetables with a prefix, because the page has a view and a
language of its own.
"""

from dataclasses import dataclass, replace
from typing import ClassVar
from urllib.parse import urlencode

from markupsafe import escape

from bridge import languages
from bridge.errors import ParameterError
from bridge.param_values import number, single
from bridge.web.pages.embed_options import AUTO, FONTS, THEMES, EmbedOptions
from bridge.web.pages.page_context import AGENDA, VIEWS, PageContext

PREFIX = "embed_"
# Until the script has fitted the frame, and where a site removes scripts.
_UNFITTED_HEIGHT = 600
# That of site.css.
_ACCENT = "0b5d57"


@dataclass(frozen=True, slots=True)
class EmbedBuilder:
    """The settings of an embedded timetable, for its code.

    Attributes:
        used: whether the request has settings.
        language: the tag of its language; None for that of the visitor.
        height: of the frame, in pixels; None to fit it to its content.
    """

    views: ClassVar = VIEWS
    themes: ClassVar = THEMES
    fonts: ClassVar = FONTS
    heights: ClassVar = range(150, 3001)

    used: bool
    view: str
    options: EmbedOptions
    language: str | None
    height: int | None

    @classmethod
    def of(cls, context: PageContext) -> "EmbedBuilder":
        """The settings in the query of a request for a page.

        By default the view of the page, and its language if its address names one.

        Raises:
            ParameterError: a value is not accepted.
        """
        args = context.request.args
        options = EmbedOptions.of(context, PREFIX)
        if options.accent == _default_accent(context):
            options = replace(options, accent=None)
        view, lang = f"{PREFIX}view", f"{PREFIX}lang"
        return cls(
            used=any(name.startswith(PREFIX) for name in args),
            view=context.choice_param(view, VIEWS) if args.get(view) else context.view,
            options=options,
            language=_language(context, lang),
            height=_height(context),
        )

    def accent(self, context: PageContext) -> str:
        """The accent colour, ``rrggbb``."""
        return self.options.accent or _default_accent(context)

    def path(self, page_path: str) -> str:
        """The path of the embedded timetable with these settings.

        Args:
            page_path: the path of the timetable's page, with or without a query.
        """
        parameters = {
            "view": None if self.view == AGENDA else self.view,
            **self.options.parameters,
            "lang": self.language,
        }
        query = urlencode({name: value for name, value in parameters.items() if value})
        separator = "&" if "?" in page_path else "?"
        return f"/embed{page_path}" + (f"{separator}{query}" if query else "")

    def snippet(self, context: PageContext, page_path: str, name: str) -> str:
        """The HTML for embedding a timetable: a frame, and unless its height is fixed the script.

        Args:
            page_path: as in :meth:`path`.
            name: of the timetable.
        """
        base = escape(context.base)
        words = (self.language and languages.translated(self.language)) or context.language
        title = words("embed_title", name=name)
        scheme = "" if self.options.theme == AUTO else f";color-scheme:{self.options.theme}"
        frame = (
            # Without &amp;: site builders split addresses at semicolons. A value follows each name,
            # so HTML reads the & as it is.
            f'<iframe src="{base}{self.path(page_path)}" title="{title}"'
            f' width="100%" height="{self.height or _UNFITTED_HEIGHT}" loading="lazy"'
            f' style="border:0{scheme}"></iframe>'
        )
        if self.height:
            return frame
        return f'{frame}\n<script src="{base}/embed.js" async></script>'


def _language(context: PageContext, name: str) -> str | None:
    if name not in context.request.args:
        return context.feed_language
    tags = (*languages.available(),)
    return context.choice_param(name, tags) if context.request.args[name] else None


def _default_accent(context: PageContext) -> str:
    return context.services.config.studio_color or _ACCENT


def _height(context: PageContext) -> int | None:
    name = f"{PREFIX}height"
    if not context.request.args.get(name):
        return None
    least, most = EmbedBuilder.heights[0], EmbedBuilder.heights[-1]
    height = number(name, single(name, context.request.args.getlist(name)), most=most)
    if height < least:
        raise ParameterError.unusable(name, str(height), f"{least} to {most} (pixels)")
    return height
