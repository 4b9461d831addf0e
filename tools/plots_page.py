"""Set-up, not a pipeline stage: makes `dvc plots show` draw without internet.

DVC's own page loads Vega from a CDN. This writes a page with Vega inlined, and names it in .dvc/config.local; neither
is in git, so a checkout without this set-up falls back to DVC's page.
"""

import re
import subprocess
import sys
from pathlib import Path

import click
import vl_convert

from mnist_core.errors import UserError
from mnist_core.files.writing import output_file
from stages.command import StageCommand

# Ignored by .dvc/.gitignore. DVC resolves `plots.html_template` against .dvc.
PAGE = Path(".dvc/tmp/plots_page.html")

# The script of DVC's plots calls vegaEmbed.
_GLOBALS = "window.vegaEmbed = vegaEmbed;"

_PAGE_HTML = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{refresh_tag}
<title>Plots</title>
<script>%s</script>
<style>
body { font-family: sans-serif; display: flex; flex-wrap: wrap; gap: 1.5rem; margin: min(1.5rem, 3vw); }
/* Vega draws in a fixed size; a smaller screen gets a smaller drawing instead of one that scrolls sideways. */
body > *, .vega-embed { max-width: 100%; }
.vega-embed svg { max-width: 100%; height: auto; }
</style>
</head>
<body>
{plot_divs}
</body>
</html>
"""


def plots_page() -> str:
    """Return the HTML page that DVC fills: its placeholders, no {scripts} from a CDN, and Vega's bundle."""
    # In a function: the bundle's short top-level names must not meet the page's own `var spec`.
    script = f"(function () {{\n{vl_convert.javascript_bundle(_GLOBALS)}\n}})();"
    # The HTML parser ends a script at "</script", even inside a JavaScript string.
    script = re.sub(r"<(?=/script)", r"\\x3c", script, flags=re.IGNORECASE)
    return _PAGE_HTML.replace("%s", script)


@click.command(cls=StageCommand)
def main() -> None:
    """Make `dvc plots show` and `dvc plots diff` draw without internet."""
    if not Path(".dvc").is_dir():
        raise UserError(".dvc: no such directory; run from the project's root")
    with output_file(PAGE) as path:
        path.write_text(plots_page(), encoding="utf-8")
    dvc_config = [sys.executable, "-m", "dvc", "config", "--quiet", "--local", "plots.html_template"]
    subprocess.run([*dvc_config, str(PAGE.relative_to(".dvc"))], check=True)


if __name__ == "__main__":
    main()
