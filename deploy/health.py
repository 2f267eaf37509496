"""Exit code 0 when a URL answers 200 within four seconds: the image has neither curl nor wget."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request


def main(url: str) -> int:
    """Return 0 when the URL answers 200, else 1 and say why on standard error."""
    if not url.startswith("http://"):
        print(f"expected an http:// address, found {url}", file=sys.stderr)
        return 1
    try:
        with urllib.request.urlopen(url, timeout=4) as answer:  # noqa: S310 - http only, see above
            return 0 if answer.status == 200 else 1
    except (urllib.error.URLError, TimeoutError) as error:
        print(f"{url}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
