"""Another user of this machine, who tries to run code in Dask processes that are not his. Needs root."""

import subprocess
import sys

_PROGRAM = """
import os, sys
from distributed import Client, Security
own = Security.temporary()  # imports all that TLS needs while this process may still read it
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
for address in sys.argv[1:]:
    try:
        client = Client(address, security=own if address.startswith("tls") else None, timeout="3s")
    except OSError:
        print("refused")
    else:
        print(client.submit(os.getuid).result())
"""


def answers_to_another_user(addresses):
    """Return for each address "refused", or as which user the submitted code ran."""
    command = [sys.executable, "-c", _PROGRAM, *addresses]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()
