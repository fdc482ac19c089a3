"""incumbent: a text classifier holds the title until a challenger earns it."""

__version__ = "0.1.0"
