"""Run a command on a machine without services: ``python tools/offline.py COMMAND ...``.

The command gets a network namespace of its own, with nothing in it but a loopback interface. If the
system does not allow that, the addresses of the tests' services lead to closed ports instead. The
variable ``CI`` is unset, so that tests without their service are skipped.
"""

import ctypes
import fcntl
import os
import socket
import struct
import sys

NEW_USER, NEW_NETWORK = 0x10000000, 0x40000000  # of unshare(2), which Python 3.11 lacks
SET_FLAGS, UP = 0x8914, 0x1  # of netdevice(7)

CLOSED = "127.0.0.1:1"


def enter_namespace() -> bool:
    """Move this process into a new network namespace; return whether the system allowed it."""
    if not sys.platform.startswith("linux"):
        return False
    user, group = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None)
    if libc.unshare(NEW_NETWORK):
        if libc.unshare(NEW_USER | NEW_NETWORK):
            return False
        for name, line in (
            ("uid_map", f"{user} {user} 1"),
            ("setgroups", "deny"),
            ("gid_map", f"{group} {group} 1"),
        ):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:  # noqa: PTH123 - one write
                file.write(line)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sh14x", b"lo", UP))
    return True


def main() -> None:
    """Become the command of the command line."""
    os.environ.pop("CI", None)
    try:
        alone = enter_namespace()
    except OSError:
        alone = False
    if alone:
        print("This run has a network of its own, without any service.", flush=True)
    else:
        print(
            "This run cannot have a network of its own: its services lead to closed ports.",
            flush=True,
        )
        os.environ["ALDIS_TEST_POSTGRESQL"] = f"postgresql://postgres@{CLOSED}/test"
        os.environ["ALDIS_TEST_MARIADB"] = f"mariadb://root@{CLOSED}/test"
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - the command line says which command


if __name__ == "__main__":
    main()
