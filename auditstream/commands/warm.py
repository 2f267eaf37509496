"""``auditstream warm``: compile the decoder ahead of the first worker."""

from __future__ import annotations

import click


@click.command(epilog="Example: auditstream warm")
def warm() -> None:
    """Compile the Avro decoder and keep the machine code on disk.

    A worker compiles it by itself when it finds none; that takes half a minute or more on a busy machine, loading it
    takes under a second. NUMBA_CACHE_DIR names another directory to keep it in, for an image whose packages are
    read-only.
    """
    # numba takes a second to import; `--help` does without.
    from consumers.decode import prepare  # noqa: PLC0415

    click.echo("preparing the decoder: compiling takes up to a minute, loading a second", err=True)
    done = prepare()
    click.echo(f"decoder {'compiled and cached' if done.compiled else 'loaded from the cache'} in {done.seconds:.1f} s")
