"""The signals of plugins, in a namespace that they share."""

from aldis import Namespace

#: Each signal begins with the name of the plugin that declares it, so that no two collide.
extensions = Namespace()
