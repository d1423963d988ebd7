"""Follow every link in built HTML that leads to the same site."""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The links and the anchors of one page."""

    def __init__(self, text):
        super().__init__()
        self.links, self.anchors = set(), {"", "top"}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("href", "src") and value:
                self.links.add(value)
            if name == "id" or (tag == "a" and name == "name"):
                self.anchors.add(value)


def broken(root):
    """Return what leads nowhere: a line for each."""
    root = Path(root).resolve()
    pages = {path: Page(path.read_text("utf-8")) for path in root.rglob("*.html")}
    found = []
    for path, page in pages.items():
        for link in sorted(page.links):
            scheme, host, to, _, anchor = urlsplit(link)
            if scheme or host:
                continue
            target = (path.parent / unquote(to)).resolve() if to else path
            if not target.is_file():
                found.append(f"{path.relative_to(root)}: {link}: there is no such file")
            elif target in pages and unquote(anchor) not in pages[target].anchors:
                found.append(f"{path.relative_to(root)}: {link}: there is no such anchor")
    return found, len(pages), sum(len(page.links) for page in pages.values())


if __name__ == "__main__":
    lines, pages, links = broken(sys.argv[1])
    print(*lines, f"{pages} pages, {links} links, {len(lines)} broken", sep="\n")
    sys.exit(bool(lines) or not pages)
