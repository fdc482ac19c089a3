"""The command `incumbent serve`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from incumbent.cli import console

_FILE = click.Path(path_type=Path, dir_okay=False)


def _names(
    context: click.Context, option: click.Parameter, names: tuple[str, ...]
) -> tuple[str, ...]:
    for name in names:
        console.model_name(context, option, name)
    return tuple(dict.fromkeys(names))


@click.command()
@click.option("--model", "names", multiple=True, default=["reviews"], show_default=True,
              callback=_names, help="Name of a registered model; may be given again.")  # fmt: skip
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True,
              help="Port; 0 for any that is free.")  # fmt: skip
@console.alias
@click.option("--tls-cert", type=_FILE, help="Certificate (PEM), to answer by HTTPS.")
@click.option("--tls-key", type=_FILE, help="Its key (PEM).")
@click.option("--check", metavar="SECONDS", type=click.FloatRange(min=0.1), default=5.0,
              show_default=True, help="Between two looks at the alias.")  # fmt: skip
@click.option("--max-rows", metavar="ROWS", type=click.IntRange(min=1), default=1_000,
              show_default=True, help="In a request.")  # fmt: skip
@click.option("--max-characters", metavar="N", type=click.IntRange(min=1), default=100_000,
              show_default=True, help="In a text.")  # fmt: skip
@click.option("--max-body", metavar="MIB", type=click.FloatRange(min=0.001), default=16.0,
              show_default=True, help="In a request.")  # fmt: skip
@click.option("--queue", metavar="ROWS", type=click.IntRange(min=1), default=2_000,
              show_default=True, help="That may wait for a model.")  # fmt: skip
@click.option("--timeout", metavar="SECONDS", type=click.FloatRange(min=0.1), default=30.0,
              show_default=True, help="Until a request is answered.")  # fmt: skip
def serve(
    names: tuple[str, ...], host: str, port: int, alias: str, tls_cert: Path | None,
    tls_key: Path | None, check: float, max_rows: int, max_characters: int, max_body: float,
    queue: int, timeout: float,
) -> None:  # fmt: skip
    """Answer over HTTP with whichever version is champion, and follow the title.

    Speaks MLflow's scoring protocol (/invocations) and the Open Inference Protocol v2
    (/v2/models/NAME/infer); / lists all. A new champion takes over without a dropped request, once
    its files and answers are seen to be right. Ends with 0 when SIGTERM comes and what was asked is
    answered; with 130 by Ctrl-C, or if requests were cut off after 30 s.

    INCUMBENT_SERVE_TOKEN: the token that clients must send; INCUMBENT_AUTH: the login
    (user:password) that does as well. Logs are JSON lines on standard error.

    \b
    Examples:
      incumbent serve
      incumbent serve --model reviews --model intents --host 0.0.0.0 --port 8443 \\
        --tls-cert cert.pem --tls-key key.pem
    """
    with console.standard_output_for_results():
        from incumbent.serving import http_server
        from incumbent.serving.limits import MIB, Limits

        limits = Limits(
            rows=max_rows, characters=max_characters, body=int(max_body * MIB), queue=queue,
            deadline=timeout, check=check,
        )  # fmt: skip
        address = http_server.Address(host, port, tls_cert, tls_key)
        http_server.serve(names, address, limits, os.environ, alias)


COMMANDS = (serve,)
