"""The namespace that all plugins share for their signals."""

from aldis import Namespace

#: Each name begins with the name of the plugin that declares the signal, so that names are unique.
extensions = Namespace()
