"""CKAN's signals for authors of extensions. They work with and without CKAN."""

from __future__ import annotations

from aldis._optional import needs

with needs("aldis.ckan", "ckan", pluggy="pluggy"):
    import pluggy as _pluggy  # noqa: F401 - aldis.plugins needs it

from aldis.ckan import signals
from aldis.ckan.check import check
from aldis.ckan.plugin import SignalPlugin, propagating
from aldis.ckan.signals import (
    action_succeeded,
    ckan,
    ckanext,
    datastore_delete,
    datastore_upsert,
    failed_login,
    perform_password_reset,
    register_blueprint,
    request_finished,
    request_password_reset,
    request_started,
    resource_download,
    user_created,
    user_logged_in,
    user_logged_out,
)
from aldis.ckan.stand_in import install_as_ckan

__all__ = [
    "SignalPlugin",
    "action_succeeded",
    "check",
    "ckan",
    "ckanext",
    "datastore_delete",
    "datastore_upsert",
    "failed_login",
    "install_as_ckan",
    "perform_password_reset",
    "propagating",
    "register_blueprint",
    "request_finished",
    "request_password_reset",
    "request_started",
    "resource_download",
    "signals",
    "user_created",
    "user_logged_in",
    "user_logged_out",
]
