"""One file a revision. What has been released is never changed."""
