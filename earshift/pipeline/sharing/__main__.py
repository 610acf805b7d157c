"""``python -m earshift.pipeline.sharing set [URL]``, ``... push``, ``... pull``: what `make remote`, `push` and `pull` run."""

import argparse
import re

from earshift.pipeline.command import command
from earshift.pipeline.sharing.address import KINDS


@command
def main():
    arguments = _parsed()
    if arguments.what == "set":
        from earshift.pipeline.sharing.configuration import set_remote, show_remote

        options = {name: getattr(arguments, name) or None for name in ("endpoint", "profile", "keyfile")}
        if arguments.url or any(options.values()):
            set_remote(arguments.url or None, **options)
        else:
            show_remote()
    else:
        from earshift.pipeline.sharing import sharing

        chosen = {name: _words(getattr(arguments, name)) for name in ("encoders", "perturbations")}
        getattr(sharing, arguments.what)(audio=arguments.audio, **chosen)


def _parsed():
    parser = argparse.ArgumentParser(prog="python -m earshift.pipeline.sharing", description="The shared remote.")
    commands = parser.add_subparsers(dest="what", required=True)
    setting = commands.add_parser("set", help="set the shared remote up, or show it, and check it")
    setting.add_argument("url", nargs="?", help=KINDS)
    setting.add_argument("--endpoint", help="address of an S3-compatible store")
    setting.add_argument("--profile", help="of AWS's configuration files, on this machine only")
    setting.add_argument("--keyfile", help="private SSH key, on this machine only")
    for what in ("push", "pull"):
        moving = commands.add_parser(what, help=f"{what} what the pipeline made")
        moving.add_argument("--audio", action="store_true", help="its audio too")
        moving.add_argument("--encoders", nargs="*", default=[], help="of these only")
        moving.add_argument("--perturbations", nargs="*", default=[], help="of these only")
    return parser.parse_args()


def _words(texts):
    """Names that stand apart by spaces or commas."""
    return [word for text in texts for word in re.split(r"[\s,]+", text) if word]


if __name__ == "__main__":
    main()
