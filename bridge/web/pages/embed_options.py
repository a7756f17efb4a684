"""How an embedded timetable looks: the parameters of its address, and of the embed builder."""

from dataclasses import dataclass

from bridge.web.pages.accent import accent_colour
from bridge.web.pages.page_context import PageContext

THEMES = (LIGHT, DARK, AUTO) = ("light", "dark", "auto")
OFF, ON = "off", "on"
FONTS = (SYSTEM, *_) = ("system", "sans", "serif", "geometric", "rounded", "mono")
"""Names of lists of fonts in ``site.css``: a frame cannot inherit the font of its parent page."""


@dataclass(frozen=True, slots=True)
class EmbedOptions:
    """How an embedded timetable looks.

    Attributes:
        theme: one of :data:`THEMES`. Light and dark timetables have a transparent background; the
            automatic theme follows the visitor's device, which the parent page may not do, and so
            has a background of its own.
        font: one of :data:`FONTS`.
        accent: the accent colour, ``rrggbb``; None for the default.
        filters: whether visitors can filter the sessions and change the view.
    """

    theme: str
    font: str
    accent: str | None
    filters: bool

    @classmethod
    def of(cls, context: PageContext, prefix: str = "") -> "EmbedOptions":
        """The options in the query of a request.

        Args:
            prefix: what the names of the parameters begin with.

        Raises:
            ParameterError: a value is not accepted.
        """
        name = f"{prefix}accent"
        text = context.request.args.get(name)
        return cls(
            theme=context.choice_param(f"{prefix}theme", THEMES),
            font=context.choice_param(f"{prefix}font", FONTS),
            accent=accent_colour(name, text) if text else None,
            filters=context.choice_param(f"{prefix}filters", (OFF, ON)) == ON,
        )

    @property
    def parameters(self) -> dict[str, str | None]:
        """The parameters of the address; None for defaults."""
        return {
            "theme": None if self.theme == LIGHT else self.theme,
            "font": None if self.font == SYSTEM else self.font,
            "accent": self.accent,
            "filters": ON if self.filters else None,
        }
