"""What a dashboard of live signals shows."""

from __future__ import annotations

from fintech_toolkit.dashboards.panels import Panel


def signal_panels() -> list[Panel]:
    """Return the panels of a contract's signals: changes among their thresholds, signals, the VIX, beta and price.

    They are drawn of the columns that `signals_flow` gives, live by `fintech_toolkit.dashboards.live_dashboard`, and of
    a frame by `fintech_toolkit.dashboards.plot_panels`.

    Returns
    -------
    list of Panel

    Examples
    --------
    >>> [panel.title for panel in signal_panels()][:2]
    ['change and thresholds', 'signal']
    """
    return [
        Panel(
            ("price_change_pct", "buy_threshold", "sell_threshold"), "trend", unit="%", title="change and thresholds"
        ),
        Panel(("signal",), "signed", title="signal", labels=("buy", "sell"), height=120),
        Panel(("VIX",), unit="points", height=160),
        Panel(("beta",), height=160),
        Panel(("price",), unit="price", height=160),
    ]
