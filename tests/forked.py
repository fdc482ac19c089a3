"""The training process, as a fork of one that has imported TensorFlow (see `forks`).

Run as a module in place of `incumbent.classifiers.trainer`, or of the module that FORKED names. It
passes SIGINT on and ends as the fork does; killed, it takes the fork with it.
"""

from __future__ import annotations

import os
import signal
import sys

from tests import forks


def main() -> None:
    module = os.environ.get("FORKED", "incumbent.classifiers.trainer")
    address = os.environ[forks.ADDRESS]
    with forks.ask(address, module, sys.argv[1:], os.environ, (0, 1, 2)) as asked:
        signal.signal(signal.SIGINT, lambda *_: asked.send(str(signal.SIGINT.value).encode()))
        for stream in (0, 1):  # theirs alone, so that their ends are seen
            os.close(stream)
        code = os.waitstatus_to_exitcode(forks.wait(asked))
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    main()
